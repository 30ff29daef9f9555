/* server_process.c: see server_process.h. */
#include "crash/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/server_run.h"

#define READY_MS 20000
#define END_MS   30000

static void become_server(const server_options *o, int out)
{
    const char *argv[8 + 2 * SERVER_SETTINGS_MAX + 4];
    size_t n = 0;
    const char *const fixed[] = {EXCORE_PROGRAM, "serve",       "--data", o->data,
                                 "--listen",     "127.0.0.1:0", "--app",  o->app};
    for (; n < sizeof fixed / sizeof fixed[0]; n++)
        argv[n] = fixed[n];
    for (int i = 0; i < SERVER_SETTINGS_MAX && o->settings[i]; i++) {
        argv[n++] = "--set";
        argv[n++] = o->settings[i];
    }
    argv[n] = NULL;
    int log = open(o->log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (log < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(125);
    signal(SIGXFSZ, SIG_DFL); /* as a shell starts it, whoever started the test */
    static const char *const ours[] = {"EXCORE_TEST_POSTGRES", "EXCORE_TEST_POSTGRES_TCP",
                                       "EXCORE_TEST_POSTGRES_SH"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        (void)unsetenv(ours[i]); /* it refuses variables of its prefix that it does not know */
    /* a copy of the table of pointers is all that execv could write to */
    execv(EXCORE_PROGRAM, (char *const *)(void *)argv);
    _exit(126);
}

bool server_spawn(server_process *p, const server_options *options)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    p->pid = fork();
    if (p->pid == 0) {
        /* in this order: a parent that died in between is noticed */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
            _exit(124);
        become_server(options, ends[1]);
    }
    close(ends[1]);
    p->out = ends[0];
    p->port = 0;
    p->log = options->log;
    if (p->pid > 0)
        return true;
    close(ends[0]);
    p->pid = 0;
    return false;
}

static bool take_port(server_process *p, const char *line)
{
    static const char before[] = "serving http://127.0.0.1:";
    const char *address = strstr(line, before);
    if (address)
        p->port = (uint16_t)strtoul(address + strlen(before), NULL, 10);
    return p->port != 0;
}

bool server_wait_ready(server_process *p)
{
    char line[1024];
    size_t n = 0;
    uint64_t end = run_now_ms() + READY_MS;
    while (n < sizeof line - 1 && run_now_ms() < end) {
        struct pollfd ready = {.fd = p->out, .events = POLLIN};
        if (poll(&ready, 1, 100) <= 0)
            continue;
        ssize_t got = read(p->out, line + n, sizeof line - 1 - n);
        if (got <= 0)
            return false;
        n += (size_t)got;
        line[n] = '\0';
        if (strchr(line, '\n'))
            return take_port(p, line);
    }
    return false;
}

bool server_signal(const server_process *p, int number)
{
    return p->pid > 0 && kill(p->pid, number) == 0;
}

int server_wait_end(server_process *p)
{
    int status = 0;
    uint64_t end = run_now_ms() + END_MS;
    pid_t got;
    while ((got = waitpid(p->pid, &status, WNOHANG)) == 0 && run_now_ms() < end)
        run_sleep_ms(1);
    if (got != p->pid) {
        (void)kill(p->pid, SIGKILL); /* gone is fine as well */
        (void)waitpid(p->pid, &status, 0);
        status = -1;
    }
    close(p->out);
    *p = (server_process){0};
    return status;
}

/* ---- Those that must go well ---- */

static void must_spawn(server_process *p, const server_options *options)
{
    if (!server_spawn(p, options))
        run_fail("no server could be started");
}

void server_start(server_process *p, const server_options *options)
{
    must_spawn(p, options);
    if (!server_wait_ready(p))
        run_fail("a server did not become ready; see %s", options->log);
}

void server_start_and_kill(server_process *p, const server_options *options, uint32_t after_ms)
{
    must_spawn(p, options);
    run_sleep_ms(after_ms);
    (void)server_signal(p, SIGKILL); /* the status tells if it was gone */
    server_was_killed(p);
}

void server_was_killed(server_process *p)
{
    const char *log = p->log;
    int status = server_wait_end(p);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        run_fail("a server ended by itself (wait status %d); see %s", status, log);
}

void server_ended_in_order(server_process *p)
{
    const char *log = p->log;
    int status = server_wait_end(p);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        run_fail("a server ended with wait status %d after SIGTERM; see %s", status, log);
}
