/* server_crash.c: kill the server under load, start it again, and compare everything.
 *
 *   server_crash [--rounds N] [--seconds N] [--seed N]
 *
 * A round:
 *
 *   load      six clients write, one follows the log, on the server of the round before
 *   end       after 5 to 150 ms SIGKILL; every fourth time SIGTERM, every eighth two of them
 *   start     every fifth time it is killed once or twice more while it starts;
 *             every twentieth time views.db is deleted first
 *   check     the log: every acknowledged event once, where it was acknowledged; nothing
 *             in part, nothing twice, no gap; nothing of what was rejected or refused
 *   follow    the follower resumes with Last-Event-ID, without a gap; what it saw is in the log
 *   repeat    what got no answer is sent again, and some of what got one: it takes
 *             effect once and is answered as the first time
 *   view      the rows of the order summary against a fold of the log
 *
 * After SIGTERM the exit code is 0 and whatever was executed was also answered.
 * Each start picks the durability (one in four normal) and the size of the ring.
 * The directory stays the same for ROUNDS_PER_STORE rounds, so that the log grows; then the
 * store is checked once more by the library, without a server.
 *
 * The seed fixes what the clients send and when the signals come, not how the
 * threads interleave. */
#include "crash/server_follower.h"
#include "crash/server_process.h"
#include "crash/server_run.h"
#include "crash/server_tally.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <excore/clock.h>

#include "support/log_check.h"
#include "support/temp_dir.h"

#define ROUNDS_DEFAULT   100
#define SECONDS_DEFAULT  170
#define ROUNDS_PER_STORE 100
#define LOAD_MIN_MS      5
#define LOAD_MAX_MS      150
#define EARLY_MAX_MS     40 /* a start takes less */
#define OLD_ATTEMPTS     64
#define OLD_REPEATED     8 /* of them, each round */

static struct {
    uint64_t kills, early_kills, terms, quick_ends, views_dropped;
    uint64_t events, rows;
    server_tally attempts;
} counts;

/* One directory's life. */
typedef struct life {
    temp_dir dir;
    char data[96], log_path[96];
    server_options options;
    server_process server;
    server_load load;
    server_log *log;
    server_orders *orders;
    server_follower follower;
    log_check *check;
    attempt *old[OLD_ATTEMPTS]; /* of earlier rounds */
    uint64_t random;
} life;

/* ---- Starting and ending ---- */

/* kill -9 may cost nothing in either mode; with the small ring the follower falls back to the log.
 */
static void start_server(life *l)
{
    bool is_full = run_below(&l->random, 4) > 0, is_small = run_below(&l->random, 2);
    l->options.settings[0] = is_full ? "store.durability=full" : "store.durability=normal";
    l->options.settings[1] = is_small ? "store.ring_limit=64KiB" : "store.ring_limit=8MiB";
    server_start(&l->server, &l->options);
}

static void kill_while_starting(life *l)
{
    for (uint32_t left = 1 + run_below(&l->random, 2); left > 0; left--) {
        server_start_and_kill(&l->server, &l->options, run_below(&l->random, EARLY_MAX_MS));
        counts.early_kills++;
    }
}

static void drop_views(life *l)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/views.db%s", l->data, suffixes[i]);
        (void)unlink(path); /* not there is as good */
    }
    counts.views_dropped++;
}

static void end_by_term(life *l, bool is_twice)
{
    (void)server_signal(&l->server, SIGTERM);
    if (is_twice) {
        run_sleep_ms(run_below(&l->random, 6));
        (void)server_signal(&l->server, SIGTERM);
    }
    int status = server_wait_end(&l->server);
    bool is_right =
        WIFEXITED(status) && (WEXITSTATUS(status) == 0 || (is_twice && WEXITSTATUS(status) == 1));
    if (!is_right)
        run_fail("the wait status after %s is %d", is_twice ? "two SIGTERM" : "SIGTERM", status);
    counts.terms++;
    counts.quick_ends += WEXITSTATUS(status) == 1;
}

/* Returns whether it was an orderly end: what ran was answered. */
static bool load_and_end(life *l)
{
    bool is_term = run.round % 4 == 3, is_twice = run.round % 8 == 7;
    server_load_start(&l->load, &l->server.port, 1, l->log, l->orders);
    server_follower_start(&l->follower, l->server.port);
    run_sleep_ms(LOAD_MIN_MS + run_below(&l->random, LOAD_MAX_MS - LOAD_MIN_MS + 1));
    server_load_expect_end(&l->load, 0);
    if (is_term) {
        end_by_term(l, is_twice);
    } else {
        (void)server_signal(&l->server, SIGKILL);
        server_was_killed(&l->server);
        counts.kills++;
    }
    server_load_join(&l->load);
    server_follower_join(&l->follower);
    return is_term && !is_twice;
}

/* ---- Checking ---- */

static void check_was_answered(void *log, const attempt *a)
{
    if (a->state == ATTEMPT_OPEN && server_log_has(log, a->number))
        run_fail("%s was executed before an orderly end, but not answered", attempt_text(a));
}

static void note_acknowledged(void *check, const attempt *a)
{
    if (a->state != ATTEMPT_DONE)
        return;
    for (uint32_t i = 0; i < a->answer.event_count; i++) {
        ex_id id;
        if (ex_id_parse(ex_str(a->answer.events[i].id), &id, NULL))
            run_fail("%s: '%s' is no id", attempt_text(a), a->answer.events[i].id);
        log_check_acknowledged(check, &id, a->answer.events[i].position);
    }
}

/* ---- Repeating ---- */

static void repeat_attempts(life *l)
{
    http_client client;
    counts.attempts.repeated += server_load_repeat(&l->load, l->log, l->server.port, &l->random);
    if (!http_client_open(&client, l->server.port))
        run_fail("no connection for repeating");
    for (int i = 0; i < OLD_REPEATED; i++) {
        const attempt *a = l->old[run_below(&l->random, OLD_ATTEMPTS)];
        if (!a)
            continue;
        attempt_repeat(a, &client);
        counts.attempts.repeated++;
    }
    http_client_close(&client);
}

/* Some attempts stay, to be repeated in later rounds. */
static void keep_some(life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        server_client *c = &l->load.clients[i];
        for (size_t k = 0; k < c->attempt_count; k += 32) {
            attempt *a = c->attempts[k];
            if (!a->is_repeatable)
                continue;
            uint32_t place = run_below(&l->random, OLD_ATTEMPTS);
            attempt_free(l->old[place]);
            l->old[place] = a;
            c->attempts[k] = NULL;
        }
    }
}

/* ---- A round ---- */

static void one_round(life *l)
{
    run.step = "load";
    bool was_orderly = load_and_end(l);
    run.step = "start";
    if (run.round % 5 == 4)
        kill_while_starting(l);
    if (run.round % 20 == 19)
        drop_views(l);
    start_server(l);
    run.step = "check";
    server_log_read(l->log, l->server.port);
    server_load_check(&l->load, l->log);
    server_tally_unanswered(&counts.attempts, &l->load, l->log);
    if (was_orderly)
        server_load_each(&l->load, check_was_answered, l->log);
    run.step = "follow";
    server_follower_check(&l->follower, l->log); /* what it saw before the end */
    server_follower_catch_up(&l->follower, l->server.port, server_log_head(l->log));
    server_follower_check(&l->follower, l->log);
    run.step = "repeat";
    repeat_attempts(l);
    server_log_read(l->log, l->server.port);
    server_load_check(&l->load, l->log);
    server_load_each(&l->load, note_acknowledged, l->check);
    server_tally_outcomes(&counts.attempts, &l->load);
    run.step = "view";
    counts.rows += server_orders_check(l->orders, l->server.port, server_log_head(l->log));
    if (run.round % 10 == 9) {
        run.step = "read all again";
        server_log_read_again(l->log, l->server.port);
    }
    keep_some(l);
    server_load_clear(&l->load);
}

/* ---- A directory's life ---- */

static void begin_life(life *l)
{
    memset(l, 0, sizeof *l);
    l->dir = temp_dir_make();
    run.dir = l->dir.path;
    snprintf(l->data, sizeof l->data, "%s/data", l->dir.path);
    snprintf(l->log_path, sizeof l->log_path, "%s/server.log", l->dir.path);
    l->options = (server_options){.data = l->data, .log = l->log_path, .app = ORDERS_APP};
    l->orders = server_orders_new();
    l->log = server_log_new(l->orders);
    l->check = log_check_new();
    l->random = run_random(run.round, 1000);
    run.step = "first start";
    start_server(l);
}

static void check_by_library(life *l)
{
    ex_store *s = NULL;
    ex_error err = {0};
    log_check_result result;
    run.step = "check by the library";
    if (ex_store_open(l->data, NULL, &s, &err))
        run_fail("the store does not open: %s", err.message);
    if (!log_check_run(l->check, s, &result))
        run_fail("%s", result.fault);
    if (result.events != server_log_head(l->log))
        run_fail("the library reads %" PRIu64 " events, the server showed %" PRIu64, result.events,
                 server_log_head(l->log));
    ex_store_close(s);
    counts.events += result.events;
    if (server_orders_check_library(l->orders, l->data) != server_orders_count(l->orders))
        run_fail("not every order was compared");
}

static void end_life(life *l)
{
    run.step = "end";
    end_by_term(l, false);
    check_by_library(l);
    for (int i = 0; i < OLD_ATTEMPTS; i++)
        attempt_free(l->old[i]);
    server_load_done(&l->load);
    server_follower_done(&l->follower);
    server_log_free(l->log);
    server_orders_free(l->orders);
    log_check_free(l->check);
    run.dir = NULL;
    temp_dir_remove(&l->dir);
}

/* ---- The run ---- */

static void print_counts(uint64_t begun_ms)
{
    printf("%lu rounds in %" PRIu64 " s: %" PRIu64 " SIGKILL under load, %" PRIu64
           " while starting, %" PRIu64 " SIGTERM (%" PRIu64
           " ended at once), views rebuilt %" PRIu64 " times\n",
           run.round, (run_now_ms() - begun_ms) / 1000, counts.kills, counts.early_kills,
           counts.terms, counts.quick_ends, counts.views_dropped);
    server_tally_print(&counts.attempts);
    printf("%" PRIu64 " events and %" PRIu64 " rows compared\n", counts.events, counts.rows);
}

/* A run that never met what it is about has tested nothing. */
static void check_was_a_test(void)
{
    const server_tally *t = &counts.attempts;
    run.step = "counts";
    if (run.round >= 50 && (!t->acknowledged || !t->rejected || !t->unanswered_stored ||
                            !t->repeated || !t->rows_asked || !counts.early_kills))
        run_fail("some of what this test is about never happened; see the counts");
}

int main(int argc, char **argv)
{
    static life l;
    uint64_t rounds = ROUNDS_DEFAULT, seconds = SECONDS_DEFAULT;
    run.seed = (uint64_t)ex_now_us(ex_clock_system());
    const run_option options[] = {
        {"--rounds", &rounds}, {"--seconds", &seconds}, {"--seed", &run.seed}};
    run_read_options(argc, argv, options, 3);
    printf("seed %" PRIu64 ", at most %" PRIu64 " rounds and %" PRIu64 " s\n", run.seed, rounds,
           seconds);
    fflush(stdout);
    uint64_t begun_ms = run_now_ms(), end_ms = begun_ms + seconds * 1000;
    for (bool is_over = rounds == 0; !is_over;) {
        begin_life(&l);
        do {
            one_round(&l);
            run.round++;
            is_over = run.round >= rounds || run_now_ms() >= end_ms;
        } while (!is_over && run.round % ROUNDS_PER_STORE != 0);
        end_life(&l);
    }
    print_counts(begun_ms);
    check_was_a_test();
    return 0;
}
