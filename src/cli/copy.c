/* copy.c: the verb `copy`: a store's log to another store, with a proof that both are equal. */
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "kernel/deadline.h"
#include "store/import.h"
#include "store/log_copy.h"
#include "store/writers.h"

#include <excore/clock.h>
#include <excore/json.h>

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#define POLL_MS        20   /* between two looks at a live source */
#define POLL_LOST_MS   1000 /* while nobody can tell whether it is one */
#define RING_BYTES     (64u << 10)
#define COMMANDS_TTL_S UINT32_MAX /* how long outcomes are kept is for the server to say */

typedef struct copy_run {
    const char *from_place, *to_place;
    bool follows, only_verifies;
    ex_store *from, *to;
    ex_log_copy *copy;
    ex_writers *writers; /* of the source */
    progress progress;
    bool is_following; /* caught up once: from now on Ctrl-C ends it in order */
    /* when it ended */
    bool is_source_live;
    ex_error unknown; /* why nobody can tell; status EX_OK: somebody can */
    uint64_t started_ns;
    /* woken by a signal */
    pthread_mutex_t mu;
    pthread_cond_t wake;
} copy_run;

/* ---- Places ---- */

static bool is_url(const char *place)
{
    return strstr(place, "://") != NULL;
}

static bool is_same_place(const char *a, const char *b)
{
    struct stat x, y;
    if (strcmp(a, b) == 0)
        return true;
    return !is_url(a) && !is_url(b) && stat(a, &x) == 0 && stat(b, &y) == 0 &&
           x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static ex_status check_place(const char *option, const char *place, ex_error *err)
{
    if (!place || !*place)
        return ex_raise(err, EX_EINVAL, "option '--%s' is missing", option);
    if (strncmp(place, "http://", 7) == 0 || strncmp(place, "https://", 8) == 0)
        return ex_raise(err, EX_EINVAL,
                        "option '--%s' wants a store, a directory or a postgres:// URL, not a "
                        "server",
                        option);
    return EX_OK;
}

static ex_status take_arguments(copy_run *r, const args *a, ex_error *err)
{
    r->from_place = args_text(a, "from", NULL);
    r->to_place = args_text(a, "to", NULL);
    r->follows = args_has(a, "follow");
    r->only_verifies = args_has(a, "verify-only");
    ex_status st = check_place("from", r->from_place, err);
    if (st == EX_OK)
        st = check_place("to", r->to_place, err);
    if (st == EX_OK && r->follows && r->only_verifies)
        st = ex_raise(err, EX_EINVAL, "--follow and --verify-only exclude each other");
    if (st == EX_OK && is_same_place(r->from_place, r->to_place))
        st = ex_raise(err, EX_EINVAL, "--from and --to are the same store");
    return st;
}

static ex_status open_stores(copy_run *r, ex_error *err)
{
    const ex_store_options from = {.read_only = true, .must_exist = true};
    const ex_store_options to = {.read_only = r->only_verifies,
                                 .must_exist = r->only_verifies,
                                 .ring_limit_bytes = RING_BYTES,
                                 .command_ttl_s = COMMANDS_TTL_S};
    ex_status st = ex_store_open(r->from_place, &from, &r->from, err);
    if (st)
        return ex_error_context(err, st, "the source");
    st = ex_store_open(r->to_place, &to, &r->to, err);
    return st ? ex_error_context(err, st, "the target") : EX_OK;
}

/* Whether some process writes the source; where nobody can tell, somebody may. */
static bool is_source_written(copy_run *r)
{
    r->unknown = (ex_error){0};
    bool is_written = true;
    ex_status st = ex_writers_ask(r->writers, &is_written, &r->unknown);
    return st || is_written;
}

/* ---- Progress and signals ---- */

static bool on_tick(void *ctx, ex_log_copy_phase phase, uint64_t done, uint64_t total)
{
    static const char *const labels[] = {
        [EX_COPY_CHECKING] = "checking",
        [EX_COPY_COPYING] = "copying",
        [EX_COPY_COMMANDS] = "outcomes of commands",
        [EX_COPY_VERIFYING] = "verifying",
    };
    copy_run *r = ctx;
    if (!r->is_following)
        progress_show(&r->progress, labels[phase], done, total);
    return r->is_following || !interrupt_came();
}

static void wake_up(void *ctx)
{
    copy_run *r = ctx;
    pthread_mutex_lock(&r->mu);
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->mu);
}

static void wait_a_moment(copy_run *r)
{
    struct timespec until = ex_deadline(r->unknown.status ? POLL_LOST_MS : POLL_MS);
    pthread_mutex_lock(&r->mu);
    if (!interrupt_came())
        (void)pthread_cond_timedwait(&r->wake, &r->mu, &until); /* whoever called looks again */
    pthread_mutex_unlock(&r->mu);
}

/* ---- Working ---- */

/* Whoever writes the source commits before he lets go of it: asked in this order, the last round
 * has seen everything. */
static ex_status follow(copy_run *r, ex_error *err)
{
    bool is_last = false;
    ex_status st = EX_OK;
    r->is_following = true;
    progress_clear(&r->progress);
    fprintf(stderr,
            "following from position %" PRIu64
            "; ends when nobody writes the source any more, or with Ctrl-C\n",
            ex_log_copy_digest(r->copy)->position);
    while (st == EX_OK && !is_last) {
        wait_a_moment(r);
        is_last = interrupt_came() || !is_source_written(r);
        st = ex_log_copy_catch_up(r->copy, err);
    }
    return st;
}

/* The target has to be as long as the source was when it was asked. */
static ex_status verify_only(copy_run *r, ex_error *err)
{
    uint64_t head = 0;
    ex_status st = ex_store_read_head(r->from, &head, err);
    if (st == EX_OK)
        st = ex_log_copy_check(r->copy, err);
    uint64_t position = ex_log_copy_digest(r->copy)->position;
    if (st == EX_OK && position < head)
        st = ex_raise(err, EX_EPRECONDITION,
                      "the target ends at position %" PRIu64 ", the source at %" PRIu64
                      "; they are equal up to there",
                      position, head);
    return st;
}

static ex_status carry(copy_run *r, ex_error *err)
{
    ex_status st = ex_writers_new(r->from_place, &r->writers, err);
    st = st ? st : ex_log_copy_new(r->from, r->to, on_tick, r, &r->copy, err);
    if (st == EX_OK && r->only_verifies)
        return verify_only(r, err);
    if (st == EX_OK)
        st = ex_log_copy_check(r->copy, err);
    if (st == EX_OK)
        st = ex_log_copy_catch_up(r->copy, err);
    if (st == EX_OK && r->follows && is_source_written(r))
        st = follow(r, err);
    if (st == EX_OK)
        st = ex_log_copy_finish(r->copy, err);
    r->is_source_live = is_source_written(r);
    return st;
}

static ex_status run(copy_run *r, ex_error *err)
{
    ex_status st = interrupt_start(err);
    if (st == EX_OK)
        st = open_stores(r, err);
    if (st == EX_OK) {
        interrupt_on(wake_up, r);
        st = carry(r, err);
        interrupt_on(NULL, NULL);
    }
    progress_clear(&r->progress);
    if (st == EX_ECANCELLED && !r->only_verifies)
        st = ex_raise(err, st,
                      "stopped at position %" PRIu64 " of %" PRIu64
                      "; the same command goes on from there",
                      ex_log_copy_written(r->copy), ex_store_head(r->from));
    return st;
}

/* ---- The outcome ---- */

static void print_json(const copy_run *r, double seconds)
{
    char digest[LOG_DIGEST_TEXT_SIZE];
    const ex_log_digest *d = ex_log_copy_digest(r->copy);
    ex_json_writer w;
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_json_writer_init(&w, &out);
    ex_json_begin_object(&w);
    ex_json_bool_member(&w, EX_S("equal"), true);
    ex_json_u64_member(&w, EX_S("position"), d->position);
    ex_json_string_member(&w, EX_S("digest"), ex_log_digest_text(d, digest));
    ex_json_u64_member(&w, EX_S("events_copied"), ex_log_copy_events(r->copy));
    ex_json_u64_member(&w, EX_S("commands_copied"), ex_log_copy_commands(r->copy));
    ex_json_key(&w, EX_S("source_is_written"));
    if (r->unknown.status)
        ex_json_null(&w);
    else
        ex_json_bool(&w, r->is_source_live);
    ex_json_double_member(&w, EX_S("seconds"), seconds);
    ex_json_end_object(&w);
    ex_buf_put_char(&out, '\n');
    fwrite(out.ptr, 1, out.len, stdout);
    ex_buf_done(&out);
}

static void print_text(const copy_run *r, double seconds)
{
    char digest[LOG_DIGEST_TEXT_SIZE];
    const ex_log_digest *d = ex_log_copy_digest(r->copy);
    uint64_t events = ex_log_copy_events(r->copy);
    if (!r->only_verifies)
        printf("copied %" PRIu64 " events and %" PRIu64 " outcomes of commands in %.1f s", events,
               ex_log_copy_commands(r->copy), seconds);
    if (!r->only_verifies)
        printf(events ? " (%.0f events/s)\n" : "\n", (double)events / seconds);
    printf("digest %.*s\n", EX_ARG(ex_log_digest_text(d, digest)));
    printf("equal at position %" PRIu64, d->position);
    if (r->unknown.status)
        printf("; whether somebody still writes the source cannot be told: %s\n",
               r->unknown.message);
    else if (r->is_source_live)
        printf("; the source is still in use: stop its servers and run this again before you "
               "switch\n");
    else
        printf(r->only_verifies ? "\n" : ", switch now\n");
}

static int run_copy(const cli *c, const args *a)
{
    ex_error err = {0};
    copy_run r = {.started_ns = ex_monotonic_ns(ex_clock_system())};
    if (take_arguments(&r, a, &err))
        return cli_misuse(c, a->verb, "%s", err.message);
    progress_init(&r.progress);
    pthread_mutex_init(&r.mu, NULL);
    ex_cond_init(&r.wake);
    ex_status st = run(&r, &err);
    double seconds = (double)(ex_monotonic_ns(ex_clock_system()) - r.started_ns) / 1e9;
    if (st == EX_OK && args_has(a, "json"))
        print_json(&r, seconds);
    else if (st == EX_OK)
        print_text(&r, seconds);
    ex_log_copy_free(r.copy);
    ex_writers_free(r.writers);
    ex_store_close(r.to);
    ex_store_close(r.from);
    pthread_cond_destroy(&r.wake);
    pthread_mutex_destroy(&r.mu);
    return st ? cli_fail(c, a, &err) : CLI_OK;
}

static const arg_option options[] = {
    {0, "from", ARG_TEXT, "PLACE", "the store to copy: a directory or a postgres:// URL", NULL},
    {0, "to", ARG_TEXT, "PLACE", "where to; made when missing", NULL},
    {0, "follow", ARG_FLAG, NULL,
     "go on with what is appended, until nobody writes the source any more", NULL},
    {0, "verify-only", ARG_FLAG, NULL, "copy nothing, compare both", NULL},
    {0, "json", ARG_FLAG, NULL, "print the outcome as JSON", NULL},
    {0},
};

const cli_verb cli_verb_copy = {
    .name = "copy",
    .summary = "copy a store's log to another store and prove them equal",
    .options = options,
    .details =
        "Events keep their positions, ids, times and bytes; the outcomes of commands come\n"
        "along, so that a command repeated after the switch is not run twice. Read models are\n"
        "not copied: a server rebuilds them. The source may be in use meanwhile; the target\n"
        "may not. Copying goes on where it was interrupted, and a target that holds other\n"
        "events is refused (exit code 1) before anything is written to it. At the end both\n"
        "logs have been hashed event by event, and the digest is printed.",
    .examples = "copy --from ./data --to postgres://localhost/orders --follow\n"
                "copy --from postgres://localhost/orders --to ./back\n"
                "copy --from ./data --to ./copy --verify-only",
    .run = run_copy,
};
