/* server_run.c: see server_run.h. */
#include "crash/server_run.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <excore/clock.h>

server_run run;

/* One thread's fault is enough; another that finds one too waits for the end here. The server goes
 * with this process (server_process.c). */
void run_fail(const char *fmt, ...)
{
    static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
    va_list args;
    pthread_mutex_lock(&once);
    fflush(stdout);
    fprintf(stderr, "FAILED in round %lu (%s): ", run.round, run.step ? run.step : "start");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nagain with: --seed %" PRIu64 "\n", run.seed);
    if (run.dir)
        fprintf(stderr, "the store and server.log are kept in %s\n", run.dir);
    fflush(stderr);
    if (run.stop)
        run.stop();
    _exit(1);
}

void run_need(bool ok)
{
    if (!ok)
        run_fail("the test itself has no memory");
}

uint32_t run_below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33) % n;
}

uint64_t run_random(uint64_t a, uint64_t b)
{
    uint64_t state = run.seed ^ a * 0xD1B54A32D192ED03ULL ^ b * 0x9E3779B97F4A7C15ULL;
    (void)run_below(&state, 2); /* near seeds soon differ everywhere */
    (void)run_below(&state, 2);
    return state;
}

uint64_t run_now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

void run_sleep_ms(uint32_t ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)nanosleep(&t, NULL); /* a shorter one is as random */
}

/* ---- The command line ---- */

static void exit_with_usage(const char *program, const run_option *options, size_t count)
{
    fprintf(stderr, "usage: %s", program);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, " [%s N]", options[i].name);
    fputc('\n', stderr);
    exit(2);
}

void run_read_options(int argc, char **argv, const run_option *options, size_t count)
{
    for (int i = 1; i < argc; i += 2) {
        size_t k = 0;
        char *end = NULL;
        while (k < count && strcmp(argv[i], options[k].name) != 0)
            k++;
        uint64_t n = k < count && i + 1 < argc ? strtoull(argv[i + 1], &end, 10) : 0;
        if (!end || *end || end == argv[i + 1])
            exit_with_usage(argv[0], options, count);
        *options[k].value = n;
    }
}

/* ---- JSON that must be right ---- */

ex_json run_json(ex_slice text, ex_arena *arena)
{
    ex_json json;
    ex_error err = {0};
    if (ex_json_parse(text, arena, NULL, &json, &err))
        run_fail("an answer is no JSON (%s): %.*s", err.message, EX_ARG(text));
    return json;
}

static const ex_json *need_kind(const ex_json *object, const char *key, ex_json_kind kind)
{
    const ex_json *v = ex_json_get(object, ex_str(key));
    if (!v || v->kind != kind)
        run_fail("no right \"%s\" in %.*s", key, EX_ARG(object->raw));
    return v;
}

uint64_t run_number(const ex_json *object, const char *key)
{
    return (uint64_t)need_kind(object, key, EX_JSON_INT)->as.i64;
}

ex_slice run_text(const ex_json *object, const char *key)
{
    return need_kind(object, key, EX_JSON_STRING)->as.text;
}

const ex_json *run_array(const ex_json *object, const char *key)
{
    return need_kind(object, key, EX_JSON_ARRAY);
}
