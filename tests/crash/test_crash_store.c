/* test_crash_store.c: kill -9 a process that appends, and look at what it leaves behind.
 *
 *   test_crash_store [ROUNDS [SEED]]
 *
 * A child opens the store and appends from several threads. Before an append a
 * thread writes a note "trying N" to a pipe, after the acknowledgement a note
 * "done N at P". The parent kills it at a random moment, also while it opens
 * the store or makes a checkpoint, reopens the store and lets log_check compare:
 * every acknowledged event once, no append in part, no gap anywhere. Then it
 * repeats what was tried and not acknowledged: with the same ids that succeeds,
 * whether the append was in time or not, and nothing is there twice.
 *
 * What append N holds follows from N and the seed alone, so a note is small
 * enough for the pipe to take it whole, and the parent can repeat the append.
 * Several rounds go into one store before a new one is begun. (G-002) */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <excore/store.h>

#include "store/store_internal.h"
#include "support/log_check.h"
#include "support/temp_dir.h"

#define ROUNDS_DEFAULT   25
#define ROUNDS_PER_STORE 5
#define THREADS          4
#define EVENTS_MAX       6
#define STREAMS          12
#define DATA_MAX         3000
#define TRIES_MAX        (THREADS + 1)
#define LONGEST_MS       60
#define EARLY_MS         10 /* up to here from the start of the child, above from its first event */

static uint64_t seed;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "seed %" PRIu64 ": %s: %s\n", seed, what, why);
    exit(1);
}

static uint32_t below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33) % n;
}

/* ---- Append number N ---- */

typedef struct numbered_append {
    ex_append append;
    ex_stream_write writes[2];
    ex_new_event events[EVENTS_MAX];
    char streams[2][16];
    char mark[LOG_CHECK_MARK_SIZE];
    uint32_t count;
} numbered_append;

static const char *data_bytes(void)
{
    static char data[DATA_MAX];
    memset(data, '8', sizeof data); /* always the same bytes */
    return data;
}

static ex_id make_id(uint64_t number, uint32_t index)
{
    ex_id id = {.form = EX_ID_UUID};
    uint64_t words[2] = {seed ^ (index + 1) * 0x9E3779B97F4A7C15ULL, number};
    memcpy(id.bytes, words, sizeof id.bytes);
    return id;
}

static void make_append(uint64_t number, const char *data, numbered_append *a)
{
    static const ex_slice tags[2] = {EX_S_INIT("kind:a"), EX_S_INIT("kind:b")};
    uint64_t random = seed ^ number * 0xD1B54A32D192ED03ULL;
    char name[24];
    memset(a, 0, sizeof *a);
    below(&random, 2);
    a->count = 1 + below(&random, EVENTS_MAX);
    snprintf(name, sizeof name, "%" PRIu64, number);
    ex_slice mark = log_check_mark(a->mark, name, a->count);
    uint32_t first_stream = below(&random, STREAMS);
    uint32_t in_first = a->count > 1 && below(&random, 2) ? a->count / 2 : a->count;
    for (uint32_t i = 0; i < a->count; i++) {
        a->events[i] = (ex_new_event){.type = below(&random, 2) ? EX_S("Added") : EX_S("Removed"),
                                      .data = ex_slice_of(data, 1 + below(&random, DATA_MAX)),
                                      .content_type = EX_S("text/plain"),
                                      .id = make_id(number, i),
                                      .tags = tags,
                                      .tag_count = below(&random, 3),
                                      .correlation_id = mark};
    }
    a->append.writes = a->writes;
    a->append.write_count = in_first < a->count ? 2 : 1;
    for (uint32_t w = 0; w < a->append.write_count; w++) {
        int n =
            snprintf(a->streams[w], sizeof a->streams[w], "crash-%u", (first_stream + w) % STREAMS);
        a->writes[w] = (ex_stream_write){.stream = ex_slice_of(a->streams[w], (size_t)n),
                                         .events = a->events + (w == 0 ? 0 : in_first),
                                         .event_count = w == 0 ? in_first : a->count - in_first};
    }
}

/* ---- The child ---- */

typedef enum note_kind { NOTE_TRYING = 1, NOTE_DONE = 2 } note_kind;

typedef struct note {
    uint64_t kind;
    uint64_t number;
    uint64_t position; /* of the last event */
} note;

typedef struct child_thread {
    ex_store *store;
    int notes;
    uint64_t first; /* its numbers: first, first + THREADS, ... */
} child_thread;

static void tell(int fd, note n)
{
    /* shorter than PIPE_BUF: never mixed with another thread's, never cut */
    if (write(fd, &n, sizeof n) != (ssize_t)sizeof n)
        _exit(3);
}

static void *append_for_ever(void *arg)
{
    child_thread *t = arg;
    static char data[DATA_MAX];
    memcpy(data, data_bytes(), sizeof data);
    for (uint64_t number = t->first;; number += THREADS) {
        numbered_append a;
        ex_appended appended = {0};
        ex_error err = {0};
        make_append(number, data, &a);
        tell(t->notes, (note){NOTE_TRYING, number, 0});
        if (ex_store_append(t->store, &a.append, &appended, &err) != EX_OK)
            die("child: append", err.message);
        tell(t->notes, (note){NOTE_DONE, number, appended.position});
    }
    return NULL;
}

static void run_child(const char *dir, ex_durability durability, uint64_t first, int notes)
{
    ex_store_options options = {.durability = durability, .ring_limit_bytes = 64 * 1024};
    ex_store *s = NULL;
    ex_error err = {0};
    pthread_t threads[THREADS];
    child_thread args[THREADS];
    /* a checkpoint is under way most of the time (issue 8, item 13; G-610) */
    const store_internals internals = {.checkpoint_pages = 50};
    if (store_open_with(dir, &options, &internals, &s, &err) != EX_OK)
        die("child: open", err.message);
    for (uint64_t i = 0; i < THREADS; i++) {
        args[i] = (child_thread){.store = s, .notes = notes, .first = first + i};
        if (pthread_create(&threads[i], NULL, append_for_ever, &args[i]) != 0)
            die("child", "no thread");
    }
    for (;;)
        pause();
}

/* ---- The parent: one round ---- */

typedef struct history {
    log_check *check;
    uint64_t next_number;           /* none above was used */
    uint64_t open_tries[TRIES_MAX]; /* tried in this round, not acknowledged */
    size_t open_count;
    uint64_t killed_early; /* rounds without an acknowledgement */
} history;

static void note_tried(history *h, uint64_t number)
{
    if (h->open_count == TRIES_MAX)
        die("parent", "more appends open than threads");
    h->open_tries[h->open_count++] = number;
    if (number >= h->next_number)
        h->next_number = number + 1;
}

/* Only the position of the last event is known: the others stand before it. */
static void note_acknowledged(history *h, uint64_t number, uint64_t position)
{
    numbered_append a;
    make_append(number, data_bytes(), &a);
    for (uint32_t i = 0; i < a.count; i++)
        log_check_acknowledged(h->check, &a.events[i].id, position - (a.count - 1) + i);
}

static void note_done(history *h, uint64_t number, uint64_t position)
{
    size_t i = 0;
    while (i < h->open_count && h->open_tries[i] != number)
        i++;
    if (i == h->open_count)
        die("parent", "an acknowledgement of nothing");
    h->open_tries[i] = h->open_tries[--h->open_count];
    note_acknowledged(h, number, position);
}

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

/* Read notes until the pipe ends; with `until_ms` not 0 only until then; with `wanted` not 0 only
 * until so many events are acknowledged. */
static void read_notes(history *h, int fd, uint64_t until_ms, size_t wanted)
{
    while (wanted == 0 || log_check_count(h->check) < wanted) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint64_t now = now_ms();
        if (until_ms != 0 && now >= until_ms)
            return;
        if (poll(&p, 1, until_ms != 0 ? (int)(until_ms - now) : -1) <= 0)
            continue;
        note n;
        ssize_t got = read(fd, &n, sizeof n);
        if (got == 0)
            return;
        if (got != (ssize_t)sizeof n)
            die("parent: read", strerror(errno));
        if (n.kind == NOTE_TRYING)
            note_tried(h, n.number);
        else
            note_done(h, n.number, n.position);
    }
}

static void run_and_kill(history *h, const char *dir, ex_durability durability, uint32_t life_ms)
{
    int notes[2];
    if (pipe(notes) != 0)
        die("pipe", strerror(errno));
    size_t before = log_check_count(h->check);
    pid_t pid = fork();
    if (pid < 0)
        die("fork", strerror(errno));
    if (pid == 0) {
        close(notes[0]);
        run_child(dir, durability, h->next_number, notes[1]);
    }
    close(notes[1]);
    if (life_ms > EARLY_MS) /* this one is to die at work, not while it opens the store */
        read_notes(h, notes[0], 0, before + 1);
    read_notes(h, notes[0], now_ms() + life_ms, 0);
    kill(pid, SIGKILL);
    read_notes(h, notes[0], 0, 0); /* what it said before it died */
    close(notes[0]);
    int result = 0;
    if (waitpid(pid, &result, 0) != pid || !WIFSIGNALED(result) || WTERMSIG(result) != SIGKILL)
        die("child", "it ended before it was killed");
    h->killed_early += log_check_count(h->check) == before;
}

static void check(const history *h, ex_store *s, const char *when, log_check_result *ret)
{
    if (!log_check_run(h->check, s, ret))
        die(when, ret->fault);
}

static void repeat_open_tries(history *h, ex_store *s)
{
    for (size_t i = 0; i < h->open_count; i++) {
        numbered_append a;
        ex_appended appended = {0};
        ex_error err = {0};
        make_append(h->open_tries[i], data_bytes(), &a);
        if (ex_store_append(s, &a.append, &appended, &err) != EX_OK)
            die("repeating an append that was not acknowledged", err.message);
        note_acknowledged(h, h->open_tries[i], appended.position);
    }
    h->open_count = 0;
}

static void round_of(history *h, const char *dir, uint64_t *random, log_check_result *ret)
{
    ex_durability durability = below(random, 2) ? EX_DURABILITY_FULL : EX_DURABILITY_NORMAL;
    ex_store *s = NULL;
    ex_error err = {0};
    run_and_kill(h, dir, durability, 1 + below(random, LONGEST_MS));
    if (ex_store_open(dir, NULL, &s, &err) != EX_OK)
        die("reopen after the kill", err.message);
    check(h, s, "after the kill", ret);
    repeat_open_tries(h, s);
    check(h, s, "after repeating", ret);
    if (below(random, 2)) {
        ex_store_close(s);
        if (ex_store_open(dir, NULL, &s, &err) != EX_OK)
            die("reopen", err.message);
        check(h, s, "after closing", ret);
    }
    ex_store_close(s);
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)ex_now_us(ex_clock_system());
    uint64_t random = seed;
    uint64_t events = 0;
    uint64_t early = 0;
    printf("seed %" PRIu64 ", %lu rounds\n", seed, rounds);
    fflush(stdout);
    for (unsigned long done = 0; done < rounds;) {
        temp_dir dir = temp_dir_make();
        history h = {.check = log_check_new(), .next_number = 1};
        log_check_result result = {0};
        for (int i = 0; i < ROUNDS_PER_STORE && done < rounds; i++, done++)
            round_of(&h, dir.path, &random, &result);
        events += result.events;
        early += h.killed_early;
        log_check_free(h.check);
        temp_dir_remove(&dir);
    }
    printf("%lu kills (%" PRIu64 " before the first append), %" PRIu64 " events checked\n", rounds,
           early, events);
    if (rounds > 10 && early == rounds)
        die("parent", "no child lived long enough to append: this checked nothing");
    return 0;
}
