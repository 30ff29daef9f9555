/* running.h: what a thread is doing for the application: for the line that a crash leaves.
 *
 * A place lies on the stack of whoever enters it, so it costs a few stores. The handler of a crash
 * (app/crash.h) reads the places of its own thread. */
#ifndef EXCORE_KERNEL_RUNNING_H
#define EXCORE_KERNEL_RUNNING_H

#include <excore/base.h>

typedef struct ex_running {
    const char *what;  /* "command", "handler of view": static */
    ex_slice context;  /* may be empty; all slices live until the place is left */
    const char *owner; /* the aggregate, the view, the query */
    const char *name;  /* the command, the event's type; NULL: none */
    ex_slice stream;
    uint64_t position;              /* of the event in the log; 0: none yet */
    uint64_t version;               /* of the event in its stream; 0: none */
    const struct ex_running *outer; /* set by ex_running_enter */
} ex_running;

/** Thread: any, each has its own. Blocking: no. Leave in the opposite order, on every way out. */
void ex_running_enter(ex_running *place);
void ex_running_leave(const ex_running *place);

/** Write what this thread is doing, innermost first, as one line without an end: "command
 *  orders/order/confirm, stream order-1". Control characters become '?'. Async-signal-safe.
 *  @return the length, at most size */
size_t ex_running_write(char *out, size_t size);

#endif
