/* thread.c: see thread.h. */
#include "kernel/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_SIZE 16 /* the kernel's limit, NUL included */

/* A new thread inherits the mask of its maker. None of these calls fails for signals that exist. */
static void block_signals(sigset_t *ret_before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    (void)sigfillset(&blocked);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        (void)sigdelset(&blocked, faults[i]);
    (void)pthread_sigmask(SIG_SETMASK, &blocked, ret_before);
}

ex_status ex_thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg,
                          ex_error *err)
{
    sigset_t before;
    char label[NAME_SIZE];
    pthread_t thread;
    block_signals(&before);
    int rc = pthread_create(&thread, NULL, fn, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        return ex_raise(err, EX_EAGAIN, "cannot start thread \"%s\": %s", name, strerror(rc));
    (void)snprintf(label, sizeof(label), "%s", name); /* cut is fine: for people */
    (void)pthread_setname_np(thread, label);          /* likewise */
    *ret = thread;
    return EX_OK;
}

void ex_thread_stand_back(void)
{
    id_t thread = (id_t)syscall(SYS_gettid);     /* on Linux a thread has a nice value of its own */
    (void)setpriority(PRIO_PROCESS, thread, 19); /* more is always allowed; fails for nobody */
}
