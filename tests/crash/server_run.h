/* server_run.h: what one run of the server crash test is: its seed, its round, how it fails.
 *
 * A fault found anywhere, on any thread, ends the run: the message names seed and
 * round, the server is killed, and its directory stays for whoever looks. */
#ifndef EXCORE_TESTS_SERVER_RUN_H
#define EXCORE_TESTS_SERVER_RUN_H

#include <excore/json.h>

typedef struct server_run {
    uint64_t seed;
    unsigned long round;
    const char *dir;    /* of the store and of server.log; NULL before there is one */
    const char *step;   /* what the round is doing */
    void (*stop)(void); /* what a run that fails ends first; nullable */
} server_run;

/** Written by the main thread only, while no other runs. */
extern server_run run;

void run_fail(const char *fmt, ...) EX_PRINTF(1, 2) __attribute__((noreturn));
/** Ends the run when memory is short. */
void run_need(bool ok);

/** `--name N` pairs of the command line; anything else ends the program with a usage and 2. */
typedef struct run_option {
    const char *name;
    uint64_t *value;
} run_option;
void run_read_options(int argc, char **argv, const run_option *options, size_t count);

/** A random number below n (n > 0) from a state that the caller seeds. */
uint32_t run_below(uint64_t *state, uint32_t n);
/** The start of a row of random numbers, for this seed and these two numbers. */
uint64_t run_random(uint64_t a, uint64_t b);
uint64_t run_now_ms(void);
void run_sleep_ms(uint32_t ms);

/** Read a JSON text that must be right; fails the run otherwise, as do the three below. */
ex_json run_json(ex_slice text, ex_arena *arena);
uint64_t run_number(const ex_json *object, const char *key);
ex_slice run_text(const ex_json *object, const char *key);
const ex_json *run_array(const ex_json *object, const char *key);

#endif
