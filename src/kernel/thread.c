/* thread.c: see thread.h. */
#include "kernel/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME_SIZE 16 /* the kernel's limit, NUL included */

/* ---- Stacks for signal handlers ---- */

#define SIGNAL_STACK_BYTES ((size_t)64 << 10) /* pages that nobody touches take no memory */

/* At the lower end of the memory that becomes the thread's signal stack, which grows towards it. */
typedef struct thread_start {
    void *(*fn)(void *arg);
    void *arg;
} thread_start;

static bool watches_stacks; /* written before the threads that read it */

static void *new_signal_stack(void)
{
    void *memory = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* A sanitizer gives threads one of its own, and takes it away itself. */
static bool use_signal_stack(void *memory)
{
    stack_t old = {0};
    const stack_t own = {.ss_sp = (char *)memory + sizeof(thread_start),
                         .ss_size = SIGNAL_STACK_BYTES - sizeof(thread_start)};
    (void)sigaltstack(NULL, &old); /* cannot fail */
    return (old.ss_flags & SS_DISABLE) && sigaltstack(&own, NULL) == 0;
}

void ex_thread_watch_stacks(void)
{
    void *memory = new_signal_stack();
    watches_stacks = true;
    if (memory && !use_signal_stack(memory))
        (void)munmap(memory, SIGNAL_STACK_BYTES); /* else it is the main thread's until the end */
}

static void *run_watched(void *memory)
{
    thread_start start = *(thread_start *)memory;
    bool is_used = use_signal_stack(memory);
    void *result = start.fn(start.arg);
    const stack_t none = {.ss_flags = SS_DISABLE};
    if (is_used)
        (void)sigaltstack(&none, NULL); /* no handler runs on it here */
    (void)munmap(memory, SIGNAL_STACK_BYTES);
    return result;
}

/* As pthread_create. */
static int create(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
    void *memory = watches_stacks ? new_signal_stack() : NULL;
    if (!memory)
        return pthread_create(ret, NULL, fn, arg);
    *(thread_start *)memory = (thread_start){fn, arg};
    int rc = pthread_create(ret, NULL, run_watched, memory);
    if (rc)
        (void)munmap(memory, SIGNAL_STACK_BYTES);
    return rc;
}

/* ---- Starting ---- */

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
    int rc = create(&thread, fn, arg);
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
