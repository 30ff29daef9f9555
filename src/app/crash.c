/* crash.c: see crash.h.
 *
 *     excore: SIGSEGV at 0x0 on thread ex-sequencer: command orders/order/confirm, stream order-1
 *
 * The handler makes no call but those that POSIX allows there. It stands once: a second fault, its own
 * or another thread's, ends the process as it would have without us. */
#include "app/crash.h"

#include "kernel/running.h"
#include "kernel/sanitizer.h"
#include "kernel/thread.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_SIZE   1024
#define STREAM_ROOM 640 /* of it, for what was running */

static const struct {
    int number;
    const char *name;
} crashes[] = {{SIGSEGV, "SIGSEGV"},
               {SIGBUS, "SIGBUS"},
               {SIGILL, "SIGILL"},
               {SIGFPE, "SIGFPE"},
               {SIGABRT, "SIGABRT"}};
#define CRASHES (sizeof(crashes) / sizeof(crashes[0]))

static struct sigaction before[CRASHES]; /* written before the handlers stand */
static volatile sig_atomic_t is_told;

static size_t put(char *out, size_t at, const char *text)
{
    for (; *text && at < LINE_SIZE - STREAM_ROOM; text++)
        out[at++] = *text;
    return at;
}

static size_t put_hex(char *out, size_t at, uintptr_t n)
{
    char digits[2 * sizeof(n) + 1] = "";
    size_t i = sizeof(digits) - 1;
    do
        digits[--i] = "0123456789abcdef"[n & 15];
    while ((n >>= 4) != 0);
    return put(out, put(out, at, "0x"), digits + i);
}

/* A signal that somebody sent has no address. */
static void write_line(const char *name, const siginfo_t *info)
{
    char line[LINE_SIZE], thread[16] = "";
    (void)prctl(PR_GET_NAME, thread); /* a thread without a name has the program's */
    size_t len = put(line, put(line, 0, "excore: "), name);
    if (info && info->si_code > 0)
        len = put_hex(line, put(line, len, " at "), (uintptr_t)info->si_addr);
    len = put(line, put(line, put(line, len, " on thread "), thread), ": ");
    size_t what = ex_running_write(line + len, LINE_SIZE - len - 1);
    len = what ? len + what : put(line, len, "no code of the application was running");
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len); /* there is nobody to tell */
    is_told = 1;
}

/* An overrun that AddressSanitizer finds raises no signal. */
#if EX_HAS_ASAN
static void on_report(void)
{
    if (!is_told)
        write_line("the sanitizer's report above", NULL);
}
static void watch_reports(void)
{
    __sanitizer_set_death_callback(on_report);
}
#else
static void watch_reports(void) {}
#endif

/* The kernel repeats a fault when the handler returns; what was sent must be sent again. */
static void on_crash(int number, siginfo_t *info, void *context)
{
    (void)context;
    for (size_t i = 0; i < CRASHES; i++) {
        if (crashes[i].number != number)
            continue;
        write_line(crashes[i].name, info);
        (void)sigaction(number, &before[i], NULL);
    }
    if (info->si_code <= 0)
        (void)syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
}

void crash_watch(void)
{
    struct sigaction action = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    ex_thread_watch_stacks();
    watch_reports();
    for (size_t i = 0; i < CRASHES; i++)
        (void)sigaction(crashes[i].number, &action, &before[i]); /* these numbers exist */
}
