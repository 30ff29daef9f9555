/* crash.h: a crash leaves one line that says what was running, then takes its course. */
#ifndef EXCORE_APP_CRASH_H
#define EXCORE_APP_CRASH_H

/** On SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT write one line on stderr: signal, address, thread,
 *  and the application's code that ran on it (kernel/running.h). Then the action that was there before
 *  goes on: the default one dumps core, a sanitizer's reports. Threads started from here on tell an
 *  overflow of their stack too.
 *
 *  For programs that we are (ex_main), not for those that link the library. Once, before the first
 *  thread. Thread: main. */
void crash_watch(void);

#endif
