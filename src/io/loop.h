/* loop.h: an event loop on a thread of its own (libuv), and posting to it.
 *
 * Everything that belongs to a loop is touched on its thread only. The one
 * way in is ex_loop_post. */
#ifndef EXCORE_IO_LOOP_H
#define EXCORE_IO_LOOP_H

#include <excore/error.h>

#include <uv.h>

typedef struct ex_loop ex_loop;
typedef void ex_post_fn(void *arg);

/** A job for a loop; embedded in the caller's object, borrowed until it ran. */
typedef struct ex_post {
    struct ex_post *next;
    ex_post_fn *fn;
    void *arg;
} ex_post;

/** Create the loop and start its thread, named `name` (at most 15 characters). */
EX_NODISCARD ex_status ex_loop_start(const char *name, ex_loop **ret, ex_error *err);
/** Ask the loop to end once all its handles are closed, join the thread, free. NULL is accepted. */
void ex_loop_stop(ex_loop *l);
/** Run post->fn(post->arg) on the loop's thread, in posting order. Many posts cost one wake-up.
 *  No allocation, never fails. Thread: any. Blocking: no. */
void ex_loop_post(ex_loop *l, ex_post *post);
uv_loop_t *ex_loop_uv(ex_loop *l);
bool ex_loop_is_current(const ex_loop *l);

#endif
