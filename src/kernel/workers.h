/* workers.h: a small pool of threads with a bounded queue, for work that may block. */
#ifndef EXCORE_KERNEL_WORKERS_H
#define EXCORE_KERNEL_WORKERS_H

#include <excore/error.h>

typedef struct ex_workers ex_workers;
typedef void ex_work_fn(void *arg);

/** Start `threads` threads (1 to 256), named after `name` (at most 10 characters; copied).
 *  The threads block all asynchronous signals. `queue_limit` (1 to 1048576) counts waiting jobs
 * only.
 *  @return EX_OK, EX_EINVAL, EX_ENOMEM, EX_EAGAIN (no more threads) */
EX_NODISCARD ex_status ex_workers_start(const char *name, uint32_t threads, uint32_t queue_limit,
                                        ex_workers **ret, ex_error *err);
/** Queue a job. @return EX_OK, EX_EOVERLOADED (queue full), EX_ECLOSED. Thread: any. Blocking: no.
 */
EX_NODISCARD ex_status ex_workers_submit(ex_workers *w, ex_work_fn *fn, void *arg, ex_error *err);
/** Queue the rest of a job that gives up its thread for now. It comes after new jobs, but every
 *  fourth place is for such a one: short work passes long work by, and long work goes on.
 *  For a job that runs, as its last act, or in place of a submit; whatever the limit, also when the
 *  pool is stopping. Thread: any. Blocking: no. */
void ex_workers_submit_again(ex_workers *w, ex_work_fn *fn, void *arg);
/** Refuse new jobs, run what is queued, join the threads, free. NULL is accepted. Jobs may still
 * call ex_workers_submit meanwhile (and get EX_ECLOSED); other threads must have stopped doing so.
 *  Thread: any but the pool's own. Blocking: until the last job has returned. */
void ex_workers_stop(ex_workers *w);
/** Jobs that wait for a thread. Thread: any. */
uint32_t ex_workers_queued(const ex_workers *w);

#endif
