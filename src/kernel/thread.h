/* thread.h: how the library starts a thread: with a name, and out of the way of signals.
 *
 * Signals are for the program's own threads: whoever links the library must not find its handler
 * on one of ours, or a system call of ours interrupted. */
#ifndef EXCORE_KERNEL_THREAD_H
#define EXCORE_KERNEL_THREAD_H

#include <excore/error.h>

#include <pthread.h>

/** Start a thread in which every signal is blocked but those that a fault of its own raises.
 *  @param name for debuggers and `ps`; cut at 15 bytes
 *  @param ret  to be joined or detached
 *  @return EX_OK, EX_EAGAIN (no more threads; err has the name). Thread: any. */
EX_NODISCARD ex_status ex_thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg),
                                       void *arg, ex_error *err);

/** From here on the calling thread, and every one that ex_thread_start makes, has a stack of its own
 *  for signal handlers (SA_ONSTACK), on which an overflow of its stack can be told. One that it has
 *  already stays. Without memory there is none. Thread: main, before others start. */
void ex_thread_watch_stacks(void);

/** Let the calling thread run when the others of the machine leave time: for work that must not
 * slow others down, however much of it there is. */
void ex_thread_stand_back(void);

#endif
