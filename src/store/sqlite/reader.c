/* reader.c: scans over one read-only connection.
 *
 *   scan                 how
 *   -------------------  -----------------------------------------------------------
 *   log, no filter       one statement by row id, zero copies
 *   log, filter          postings.c gives positions, each row is fetched by row id;
 *                        one transaction around them saves a lock for each
 *   stream               the chain gives positions, a run of them at a time, each row is
 *                        fetched by row id; one transaction, too
 *
 * A statement that stays open holds a snapshot, and with it the WAL: it cannot
 * start anew. So a scan is short (store/fetch.h): it ends when a part of what is
 * read was copied, and a search that finds nothing is paused. */
#include "store/sqlite/sqlite_driver.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "store/sqlite/chain_walk.h"
#include "store/sqlite/lists.h"
#include "store/sqlite/event_row.h"
#include "store/sqlite/log_epoch.h"

#define READER_CACHE_BYTES (1u << 20)
/* Positions of a stream that are found at a time: few at first, because few may be wanted. */
#define RUN_FIRST_FORWARD  16u
#define RUN_FIRST_BACKWARD 4u
#define RUN_LONGEST        256u

typedef struct reader {
    const sqlite_driver *driver;
    sqlite_conn conn;
    checkpointer *checkpoints; /* NULL: not of this process */
    bool is_inside;
    postings_source source;
    /* the scan */
    sqlite3_stmt *st; /* NULL: no scan, or one of nothing */
    statement which;
    uint64_t from; /* next position; of a stream: the next version behind the run */
    uint64_t upto;
    bool is_running;   /* the statement stands on a row */
    postings *walk;    /* filtered */
    bool has_snapshot; /* filtered, or a stream: a transaction is open */
    ex_arena arena;    /* of the scan */
    /* the scan of a stream */
    ex_slice stream; /* in arena; empty for the log */
    uint64_t stream_id;
    chain_place head; /* when the scan began; it ends there */
    ex_direction direction;
    uint32_t run_room, run_count, run_at;
    uint64_t run_lowest;       /* the version of run[0] */
    uint64_t run_last;         /* position of the last event, on which the statement stands */
    uint64_t run[RUN_LONGEST]; /* positions, rising */
} reader;

static void reader_close(void *impl)
{
    reader *r = impl;
    if (!r)
        return;
    ex_arena_done(&r->arena);
    sqlite_conn_close(&r->conn);
    free(r);
}

static ex_status reader_open(void *impl, void **ret_reader, ex_error *err)
{
    sqlite_driver *d = impl;
    reader *r = calloc(1, sizeof(*r));
    if (!r)
        return ex_raise(err, EX_ENOMEM, "no memory for a reader");
    ex_arena_init(&r->arena, 0);
    ex_status st = sqlite_reader_conn(d, READER_CACHE_BYTES, &r->conn, err);
    if (st) {
        free(r);
        return st;
    }
    r->driver = d;
    r->source = sqlite_lists_source(&r->conn);
    r->checkpoints = d->read_only ? NULL : &d->checkpoints;
    *ret_reader = r;
    return EX_OK;
}

/* ---- Starting and stopping ---- */

static ex_status run_plain(reader *r, statement which, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = sqlite_conn_statement(&r->conn, which, &st, err);
    return status ? status : sqlite_conn_run(&r->conn, st, err);
}

/* On failure the snapshot stays, to be dropped before the next one. */
static ex_status drop_snapshot(reader *r, ex_error *err)
{
    ex_status st = r->has_snapshot ? run_plain(r, STATEMENT_COMMIT, err) : EX_OK;
    r->has_snapshot = !sqlite3_get_autocommit(r->conn.db);
    return r->has_snapshot ? st : EX_OK; /* of a read: nothing to lose */
}

static ex_status hold_snapshot(reader *r, ex_error *err)
{
    sqlite3_stmt *end; /* prepared now, so that the end does not fail for want of memory */
    ex_status st = sqlite_conn_statement(&r->conn, STATEMENT_COMMIT, &end, err);
    st = st ? st : drop_snapshot(r, err);
    st = st ? st : run_plain(r, STATEMENT_BEGIN_READ, err);
    r->has_snapshot = !sqlite3_get_autocommit(r->conn.db);
    return st;
}

static void reader_stop(void *impl)
{
    reader *r = impl;
    if (r->st)
        (void)sqlite3_reset(r->st); /* repeats the last failure */
    (void)drop_snapshot(r, NULL);   /* tried again before the next scan */
    r->st = NULL;
    r->walk = NULL;
    r->is_running = false;
    r->stream = EX_S("");
    ex_arena_reset(&r->arena);
    if (r->is_inside)
        checkpointer_leave(r->checkpoints);
    r->is_inside = false;
}

/* As many as are wanted, if that is known. */
static uint32_t first_run(const store_scan *scan)
{
    if (scan->limit == 0)
        return scan->direction == EX_BACKWARD ? RUN_FIRST_BACKWARD : RUN_FIRST_FORWARD;
    return scan->limit < RUN_LONGEST ? (uint32_t)scan->limit : RUN_LONGEST;
}

/* An unknown stream leaves no statement, so that the scan ends at once. */
static ex_status start_stream(reader *r, const store_scan *scan, ex_error *err)
{
    ex_status st = hold_snapshot(r, err);
    if (st == EX_OK)
        st =
            sqlite_lists_find_id(&r->conn, STATEMENT_STREAM_FIND, scan->stream, &r->stream_id, err);
    if (st == EX_OK && r->stream_id == 0)
        (void)drop_snapshot(r, NULL); /* tried again before the next scan */
    if (st || r->stream_id == 0)
        return st;
    r->stream = ex_arena_copy(&r->arena, scan->stream);
    if (!r->stream.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory to read a stream");
    st = chain_walk_head(&r->conn, r->stream_id, &r->head, err);
    if (st)
        return st;
    r->direction = scan->direction;
    if (r->direction == EX_BACKWARD && r->from > r->head.version)
        r->from = r->head.version;
    r->run_room = first_run(scan);
    r->run_count = r->run_at = 0;
    r->which = STATEMENT_EVENT_OF_STREAM;
    return sqlite_conn_statement(&r->conn, r->which, &r->st, err);
}

static ex_status start_log(reader *r, const store_scan *scan, ex_error *err)
{
    bool is_all = postings_is_all(scan->filter);
    r->which = is_all ? STATEMENT_LOG_SCAN : STATEMENT_EVENT_BY_POSITION;
    if (!is_all) {
        r->source.pause = scan->pause;
        ex_status st = hold_snapshot(r, err);
        if (st == EX_OK)
            st = postings_new(scan->filter, &r->source, &r->arena, &r->walk, err);
        if (st)
            return st;
    }
    return sqlite_conn_statement(&r->conn, r->which, &r->st, err);
}

static void enter(reader *r)
{
    if (!r->checkpoints)
        return;
    checkpointer_enter(r->checkpoints);
    r->is_inside = true;
}

static ex_status reader_start(void *impl, const store_scan *scan, ex_error *err)
{
    reader *r = impl;
    assert(!r->st && !r->walk && !r->is_inside);
    enter(r);
    r->from = scan->from;
    r->upto = scan->upto;
    ex_status st = sqlite_check_unchanged(r->driver, err);
    if (st == EX_OK)
        st = scan->is_stream ? start_stream(r, scan, err) : start_log(r, scan, err);
    if (st)
        reader_stop(r);
    return st;
}

/* ---- Walking ---- */

static ex_status run_statement(reader *r, uint64_t from, ex_error *err)
{
    (void)sqlite3_reset(r->st); /* repeats the last failure */
    int rc = bind_u64(r->st, 1, from);
    if (rc == SQLITE_OK && r->which == STATEMENT_LOG_SCAN)
        rc = bind_u64(r->st, 2, r->upto);
    r->is_running = true;
    return rc == SQLITE_OK ? EX_OK : sqlite_conn_raise(&r->conn, rc, "cannot read the log", err);
}

static ex_status step(reader *r, ex_event *ret, ex_error *err)
{
    int rc = sqlite3_step(r->st);
    if (rc == SQLITE_DONE)
        return EX_EEND;
    if (rc != SQLITE_ROW)
        return sqlite_conn_raise(&r->conn, rc, "cannot read the log", err);
    return event_row_read(&r->conn, r->st, r->stream, ret, err);
}

static ex_status next_in_order(reader *r, ex_event *ret, ex_error *err)
{
    ex_status st = r->is_running ? EX_OK : run_statement(r, r->from, err);
    return st ? st : step(r, ret, err);
}

/* Find the next positions; none when the scan is at its end. */
static ex_status next_run(reader *r, ex_error *err)
{
    bool is_backward = r->direction == EX_BACKWARD;
    uint64_t lowest = r->from;
    uint32_t room = r->run_room;
    if (is_backward) {
        room = r->from < room ? (uint32_t)r->from : room;
        lowest = r->from - room + 1;
    }
    r->run_at = r->run_count = 0;
    if (room == 0) /* backward, version 1 is behind us */
        return EX_OK;
    ex_status st = chain_walk_collect(&r->conn, r->stream_id, r->head, lowest, CHAIN_CHECK_LATER,
                                      r->run, room, &r->run_count, err);
    r->run_lowest = lowest;
    r->from = is_backward ? lowest - 1 : r->from + r->run_count;
    r->run_room = 4 * r->run_room < RUN_LONGEST ? 4 * r->run_room : RUN_LONGEST;
    return st;
}

static ex_status next_of_stream(reader *r, ex_event *ret, ex_error *err)
{
    ex_status st = r->run_at == r->run_count ? next_run(r, err) : EX_OK;
    if (st)
        return st;
    if (r->run_count == 0)
        return EX_EEND;
    uint32_t at = r->run_at++;
    if (r->direction == EX_BACKWARD)
        at = r->run_count - 1 - at;
    chain_place place = {r->run_lowest + at, r->run[at]};
    bool follows = r->is_running && place.position == r->run_last + 1;
    st = event_row_of_stream(&r->conn, r->st, r->stream_id, r->stream, place, follows, ret, err);
    r->is_running = st == EX_OK;
    r->run_last = place.position;
    return st;
}

static ex_status next_match(reader *r, ex_event *ret, ex_error *err)
{
    uint64_t position = 0;
    ex_status st = postings_seek(r->walk, r->from, &position, err);
    if (st && st != EX_EAGAIN)
        return st;
    if (position > r->upto)
        return EX_EEND;
    if (st == EX_EAGAIN) {
        ret->position = position;
        return st;
    }
    r->from = position;
    st = run_statement(r, r->from, err);
    if (st == EX_OK)
        st = step(r, ret, err);
    if (st == EX_EEND)
        return ex_raise(err, EX_ECORRUPT, "event %llu is in an index but not in the log",
                        (unsigned long long)position);
    r->from = position + 1;
    return st;
}

static ex_status reader_next(void *impl, ex_event *ret, ex_error *err)
{
    reader *r = impl;
    if (!r->st)
        return EX_EEND;
    if (r->stream.len)
        return next_of_stream(r, ret, err);
    return r->walk ? next_match(r, ret, err) : next_in_order(r, ret, err);
}

/* ---- Single answers ---- */

static ex_status reader_head(void *impl, uint64_t *ret, ex_error *err)
{
    store_head head;
    ex_status st = sqlite_check_unchanged(((reader *)impl)->driver, err);
    if (st == EX_OK)
        st = sqlite_read_head(&((reader *)impl)->conn, &head, err);
    if (st == EX_OK)
        *ret = head.position;
    return st;
}

static ex_status reader_stream_version(void *impl, ex_slice stream, uint64_t upto, uint64_t *ret,
                                       ex_error *err)
{
    sqlite_conn *c = &((reader *)impl)->conn;
    uint64_t id = 0, version = 0;
    ex_status st = sqlite_check_unchanged(((reader *)impl)->driver, err);
    if (st == EX_OK)
        st = sqlite_lists_find_id(c, STATEMENT_STREAM_FIND, stream, &id, err);
    if (st == EX_OK && id)
        st = sqlite_lists_stream_version(c, id, upto, &version, err);
    if (st == EX_OK)
        *ret = version;
    return st;
}

static ex_status reader_read_commands(void *impl, uint64_t after, uint32_t limit, ex_command_fn *fn,
                                      void *ctx, ex_error *err)
{
    sqlite_conn *c = &((reader *)impl)->conn;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_COMMANDS_AFTER, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, after);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, limit);
    while (status == EX_OK && (rc == SQLITE_OK || rc == SQLITE_ROW)) {
        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        ex_command_record record = {column_bytes(st, 1), column_u64(st, 2),
                                    sqlite3_column_int64(st, 3), column_bytes(st, 4)};
        status = fn(ctx, column_u64(st, 0), &record, err);
    }
    if (status == EX_OK && rc != SQLITE_DONE)
        status = sqlite_conn_raise(c, rc, "cannot read the commands", err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

/* One snapshot for all the lists: each statement would take the lock anew. */
static ex_status reader_match(void *impl, store_match *match, ex_error *err)
{
    reader *r = impl;
    assert(!r->st && !r->walk && !r->is_inside);
    enter(r);
    ex_status st = hold_snapshot(r, err);
    if (st == EX_OK)
        st = postings_match(&r->source, &r->arena, match, err);
    reader_stop(r);
    return st;
}

/* In one snapshot: the id and the epochs of one log. */
static ex_status reader_epochs(void *impl, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    sqlite_conn *c = &((reader *)impl)->conn;
    ex_status st = sqlite_conn_exec(c, "BEGIN", err);
    if (st)
        return st;
    st = log_epoch_read(c, arena, ret, err);
    (void)sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL); /* of a transaction that only read */
    return st;
}

/* The file and its WAL; one that is not there has no bytes. */
static ex_status reader_measure(void *impl, store_size *ret, ex_error *err)
{
    sqlite_conn *c = &((reader *)impl)->conn;
    const char *names[] = {sqlite3_db_filename(c->db, "main"), NULL};
    store_size size = {0};
    int64_t format = 0;
    ex_status status = sqlite_conn_number(c, "PRAGMA user_version", &format, err);
    if (status)
        return status;
    names[1] = sqlite3_filename_wal(names[0]);
    for (int i = 0; i < 2; i++) {
        struct stat st;
        if (names[i] && stat(names[i], &st) == 0)
            size.bytes += (uint64_t)st.st_size;
    }
    size.format = (uint32_t)format;
    status = log_features_read(c, &size.features, err);
    if (status == EX_OK)
        *ret = size;
    return status;
}

const store_reader_ops sqlite_reader = {
    .open = reader_open,
    .close = reader_close,
    .start = reader_start,
    .next = reader_next,
    .stop = reader_stop,
    .head = reader_head,
    .stream_version = reader_stream_version,
    .read_commands = reader_read_commands,
    .match = reader_match,
    .epochs = reader_epochs,
    .measure = reader_measure,
};
