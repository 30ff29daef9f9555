/* interrupt.h: Ctrl-C and SIGTERM as a call, on a thread of its own.
 *
 * The signals are blocked in the whole process, so interrupt_start comes before
 * other threads are started. A second signal ends the process at once. */
#ifndef EXCORE_CLI_INTERRUPT_H
#define EXCORE_CLI_INTERRUPT_H

#include <excore/error.h>

/** Wait for signals from now on. Once in a process.
 *  @return EX_OK, EX_EAGAIN (no thread) */
EX_NODISCARD ex_status interrupt_start(ex_error *err);
/** Set, or take away (NULL), what the first signal calls on a thread of its own; returns when no
 * call is running. A signal that came before is delivered at once. */
void interrupt_on(void (*fn)(void *ctx), void *ctx);
/** True once a signal came. Thread: any. */
bool interrupt_came(void);

#endif
