/* reader.c: scans over a read-only session of their own.
 *
 *   scan                 how
 *   -------------------  -----------------------------------------------------------
 *   log, no filter       chunks by position; while more is wanted the next one is asked for
 *                        before this one is handed out, so the server reads while we work
 *   stream               the same by version, either way
 *   log, types and tags  one statement finds and reads a chunk (search_sql.h)
 *   log, other filters   postings.c gives positions, their events come in chunks
 *
 * A chunk is one statement and comes whole; it is bounded in events and in bytes.
 * A statement that was asked for ahead keeps its snapshot until its answer is
 * taken, so a scan is short (store/fetch.h) and asks for no more than is wanted.
 * When the connection has ended, a scan goes on over a new one. */
#include <assert.h>
#include <stdlib.h>

#include "store/postgres/event_row.h"
#include "store/postgres/lists.h"
#include "store/postgres/postgres_driver.h"
#include "store/postgres/search.h"

#define FULL_CHUNK  500u
#define CHUNK_BYTES (1 << 20)
#define MATCHES     256u
#define FOUND       1024u

#define MATCH_PROBES 1000u   /* of indexes in one statement of a search: some milliseconds */
#define DENSE_JUMP   16u     /* positions that a jump passes, below which reading them is faster */
#define DENSE_SLICE  500000u /* positions that reading passes, above which jumps are tried again */

typedef struct reader {
    ex_pg *pg;
    uint32_t answer_ms; /* for each call, its reconnections included */
    ex_pg_args args;
    postings_source source;
    /* the scan */
    bool is_active;
    pg_statement which; /* LOG_CHUNK, STREAM_FORWARD, STREAM_BACKWARD, POSITIONS_CHUNK, SEARCH */
    ex_slice stream;    /* borrowed from the scan */
    uint64_t next;      /* position or version */
    uint64_t upto;
    uint64_t left;   /* events that may still be asked for */
    uint64_t wanted; /* bytes that are still wanted; when there are none, nothing is asked ahead */
    bool is_last;    /* nothing behind the chunk in hand */
    bool is_requested; /* a chunk is under way */
    ex_pg_result rows;
    int row;
    /* filtered */
    const store_pause *pause; /* borrowed from the scan, as is the query */
    const ex_query *query;    /* NULL: not by PG_SEARCH */
    bool has_searched;
    postings *walk;
    uint64_t positions[MATCHES];
    uint32_t position_count;
    ex_arena arena;
} reader;

/* ---- Open and close ---- */

static void reader_close(void *impl)
{
    reader *r = impl;
    if (!r)
        return;
    ex_pg_result_free(&r->rows);
    ex_arena_done(&r->arena);
    ex_pg_args_done(&r->args);
    ex_pg_close(r->pg);
    free(r);
}

static ex_status reader_open(void *impl, void **ret_reader, ex_error *err)
{
    reader *r = calloc(1, sizeof(*r));
    if (!r)
        return ex_raise(err, EX_ENOMEM, "no memory for a reader");
    ex_arena_init(&r->arena, 0);
    ex_pg_args_init(&r->args);
    postgres_driver *d = impl;
    ex_status st = pg_open_reader(d, &r->pg, err);
    r->answer_ms = d->answer_ms;
    if (st) {
        reader_close(r);
        return pg_as_storage(st, err);
    }
    r->source = pg_lists_source(r->pg);
    *ret_reader = r;
    return EX_OK;
}

/* ---- Start and stop ---- */

static void reader_stop(void *impl)
{
    reader *r = impl;
    if (r->is_requested && !ex_pg_is_broken(r->pg)) {
        ex_status unwanted = ex_pg_recv_all(r->pg, NULL);
        (void)unwanted; /* a broken connection is found when it is next used */
    }
    ex_pg_result_free(&r->rows);
    r->is_active = r->is_requested = false;
    r->walk = NULL;
    r->query = NULL;
    r->has_searched = false;
    r->position_count = 0;
    ex_arena_reset(&r->arena);
}

static ex_status reader_start(void *impl, const store_scan *scan, ex_error *err)
{
    reader *r = impl;
    assert(!r->is_active);
    r->is_active = true;
    r->stream = scan->stream;
    r->next = scan->from;
    r->upto = scan->upto;
    r->left = scan->limit ? scan->limit : UINT64_MAX;
    r->wanted = scan->bytes ? scan->bytes : UINT64_MAX;
    r->row = 0;
    r->is_last = false;
    if (scan->is_stream) {
        r->which = scan->direction == EX_BACKWARD ? PG_STREAM_BACKWARD : PG_STREAM_FORWARD;
    } else if (postings_is_all(scan->filter)) {
        r->which = PG_LOG_CHUNK;
        r->is_last = r->next > r->upto;
    } else if (pg_search_knows(scan->filter)) {
        r->which = PG_SEARCH;
        r->query = &scan->filter->query;
        r->pause = scan->pause;
        r->is_last = r->next > r->upto;
    } else {
        r->which = PG_POSITIONS_CHUNK;
        r->source.pause = scan->pause;
        ex_status st = postings_new(scan->filter, &r->source, &r->arena, &r->walk, err);
        if (st)
            reader_stop(r);
        return pg_as_storage(st, err);
    }
    return EX_OK;
}

/* ---- Chunks ---- */

static uint32_t chunk_size(const reader *r)
{
    uint32_t most = r->walk ? MATCHES : r->query ? FOUND : FULL_CHUNK;
    return r->left < most ? (uint32_t)r->left : most;
}

static uint64_t chunk_bytes(const reader *r)
{
    uint64_t bytes = r->wanted < CHUNK_BYTES ? r->wanted : CHUNK_BYTES;
    return bytes ? bytes : 1; /* at least one event */
}

static void put_chunk(reader *r)
{
    ex_pg_args *args = &r->args;
    if (r->which == PG_POSITIONS_CHUNK) {
        ex_pg_array_begin(args, EX_PG_INT8);
        for (uint32_t i = 0; i < r->position_count; i++)
            ex_pg_put_i64(args, (int64_t)r->positions[i]);
        ex_pg_array_end(args);
    } else if (r->which == PG_LOG_CHUNK) {
        ex_pg_put_i64(args, (int64_t)r->next);
        ex_pg_put_i64(args, (int64_t)r->upto);
    } else {
        ex_pg_put_text(args, r->stream);
        ex_pg_put_i64(args, (int64_t)r->next);
    }
    ex_pg_put_i64(args, chunk_size(r));
    ex_pg_put_i64(args, (int64_t)chunk_bytes(r));
    if (r->which == PG_STREAM_BACKWARD) /* what is newer must not use the limit up */
        ex_pg_put_i64(args, (int64_t)r->upto);
}

static ex_status request(reader *r, ex_error *err)
{
    ex_pg_args_reset(&r->args);
    if (r->which == PG_SEARCH)
        pg_put_search(&r->args, &(pg_search){.query = r->query,
                                             .from = r->next,
                                             .upto = r->upto,
                                             .events = chunk_size(r),
                                             .bytes = chunk_bytes(r)});
    else
        put_chunk(r);
    ex_status st = ex_pg_send(r->pg, pg_sql(r->which), &r->args, err);
    if (st == EX_OK)
        st = ex_pg_sync(r->pg, err);
    r->is_requested = st == EX_OK;
    return st;
}

/* @return bytes of the first rows, which are wanted no more */
static uint64_t take_bytes(reader *r, int rows)
{
    uint64_t bytes = 0;
    for (int row = 0; row < rows; row++)
        bytes += pg_event_bytes(&r->rows, row);
    r->wanted -= bytes < r->wanted ? bytes : r->wanted;
    return bytes;
}

/* The event in the last row tells where the next chunk begins, and whether there is one. */
static ex_status look_behind(reader *r, uint32_t asked, ex_error *err)
{
    ex_event last;
    uint64_t room = chunk_bytes(r), bytes = take_bytes(r, r->rows.rows);
    bool is_short = (uint32_t)r->rows.rows < asked && bytes < room;
    ex_status st = pg_event_read(&r->rows, r->rows.rows - 1, &last, NULL, err);
    if (st)
        return st;
    if (r->which == PG_LOG_CHUNK) {
        if (last.position != r->next + (uint64_t)r->rows.rows - 1)
            return ex_raise(err, EX_ECORRUPT, "events behind %llu are missing in the log",
                            (unsigned long long)r->next - 1);
        r->next = last.position + 1;
        r->is_last = last.position >= r->upto;
    } else if (r->which == PG_STREAM_FORWARD) {
        r->next = last.version + 1;
        r->is_last = is_short;
    } else if (r->which == PG_STREAM_BACKWARD) {
        r->next = last.version - 1;
        r->is_last = last.version == 1;
    }
    return EX_OK;
}

/* Its answer tells how far it came. */
static ex_status take_found(reader *r, ex_error *err)
{
    pg_search_end end;
    ex_status st = pg_search_read_end(&r->rows, &end, err);
    if (st)
        return st;
    if (end.rows == 0)
        r->row = r->rows.rows; /* there is no event in it */
    (void)take_bytes(r, end.rows);
    r->left -= r->left == UINT64_MAX ? 0 : (uint64_t)end.rows;
    r->next = end.next;
    r->is_last = r->next > r->upto || r->left == 0;
    return EX_OK;
}

static ex_status receive(reader *r, ex_error *err)
{
    uint32_t asked = chunk_size(r);
    ex_pg_result_free(&r->rows);
    r->row = 0;
    r->is_requested = false;
    ex_status st = ex_pg_recv(r->pg, &r->rows, err);
    if (st)
        return st;
    if (r->which == PG_SEARCH)
        return take_found(r, err);
    if (r->rows.rows == 0) {
        r->is_last = true;
        return r->which == PG_LOG_CHUNK || r->which == PG_POSITIONS_CHUNK
                   ? ex_raise(err, EX_ECORRUPT, "event %llu is missing in the log",
                              (unsigned long long)(r->walk ? r->positions[0] : r->next))
                   : EX_OK;
    }
    r->left -= r->left == UINT64_MAX ? 0 : (uint64_t)r->rows.rows;
    st = look_behind(r, asked, err);
    r->is_last |= r->left == 0;
    return st;
}

static ex_status fetch_over(reader *r, ex_error *err)
{
    ex_status st = r->is_requested ? EX_OK : request(r, err);
    return st ? st : receive(r, err);
}

static ex_status fetch(reader *r, ex_error *err)
{
    ex_status st = fetch_over(r, err);
    if (st && ex_pg_is_broken(r->pg)) {
        r->is_requested = false;
        st = ex_pg_reopen(r->pg, err);
        if (st == EX_OK)
            st = fetch_over(r, err);
    }
    return st;
}

static ex_status next_chunk(reader *r, ex_error *err)
{
    ex_status st = pg_as_storage(fetch(r, err), err);
    if (st == EX_OK && !r->is_last && r->wanted)
        (void)request(r, NULL); /* a failure is met when it is wanted */
    return st;
}

/* ---- Filtered ---- */

static ex_status find_matches(reader *r, ex_error *err)
{
    while (r->position_count < chunk_size(r)) {
        uint64_t position = 0;
        ex_status st = postings_seek(r->walk, r->next, &position, err);
        if (st == EX_EAGAIN)
            r->next = position;
        if (st)
            return st;
        if (position > r->upto)
            break;
        r->positions[r->position_count++] = position;
        r->next = position + 1;
    }
    return EX_OK;
}

static ex_status next_matches(reader *r, ex_error *err)
{
    ex_status st = find_matches(r, err);
    if (st && (st != EX_EAGAIN || r->position_count == 0)) /* what was found comes before a pause */
        return st;
    if (r->position_count == 0) {
        r->is_last = true;
        ex_pg_result_free(&r->rows);
        r->row = 0;
        return EX_OK;
    }
    st = pg_as_storage(fetch(r, err), err);
    if (st)
        return st;
    /* what the bytes did not allow stays for the next chunk */
    uint32_t taken = (uint32_t)r->rows.rows;
    assert(taken <= r->position_count);
    r->position_count -= taken;
    memmove(r->positions, r->positions + taken, r->position_count * sizeof(r->positions[0]));
    return EX_OK;
}

/* A search comes further with each statement, so a scan begins with one, due or not. */
static ex_status next_found(reader *r, ex_error *err)
{
    if (r->has_searched && store_pause_is_due(r->pause))
        return EX_EAGAIN;
    r->has_searched = true;
    return pg_as_storage(fetch(r, err), err);
}

static ex_status next_rows(reader *r, ex_error *err)
{
    if (r->query)
        return next_found(r, err);
    return r->walk ? next_matches(r, err) : next_chunk(r, err);
}

static ex_status reader_next(void *impl, ex_event *ret, ex_error *err)
{
    reader *r = impl;
    while (r->row >= r->rows.rows) {
        if (r->is_last)
            return EX_EEND;
        ex_pg_allow(r->pg, r->answer_ms);
        ex_status st = next_rows(r, err);
        if (st == EX_EAGAIN) {
            ret->position = r->next;
            return st;
        }
        if (st)
            return st;
    }
    return pg_event_read(&r->rows, r->row++, ret, NULL, err);
}

static bool reader_has_row(void *impl)
{
    const reader *r = impl;
    return r->row < r->rows.rows;
}

static void reader_cancel(void *impl, bool is_on)
{
    ex_pg *pg = ((reader *)impl)->pg;
    if (is_on)
        ex_pg_cancel(pg);
    else
        ex_pg_uncancel(pg);
}

/* ---- Single answers ---- */

static ex_status reader_head(void *impl, uint64_t *ret, ex_error *err)
{
    reader *r = impl;
    ex_pg_result rows = {0};
    ex_pg_allow(r->pg, r->answer_ms);
    ex_status st = pg_run_again(r->pg, PG_HEAD, NULL, &rows, err);
    if (st == EX_OK)
        *ret = rows.rows ? (uint64_t)ex_pg_get_i64(&rows, 0, 0) : 0;
    ex_pg_result_free(&rows);
    return pg_as_storage(st, err);
}

static ex_status reader_is_replica(void *impl, bool *ret, ex_error *err)
{
    reader *r = impl;
    ex_pg_result rows = {0};
    ex_pg_allow(r->pg, r->answer_ms);
    ex_status st = pg_run_again(r->pg, PG_IS_REPLICA, NULL, &rows, err);
    if (st == EX_OK)
        *ret = ex_pg_get_bool(&rows, 0, 0);
    ex_pg_result_free(&rows);
    return pg_as_storage(st, err);
}

static ex_status reader_stream_version(void *impl, ex_slice stream, uint64_t upto, uint64_t *ret,
                                       ex_error *err)
{
    reader *r = impl;
    ex_pg_result rows = {0};
    ex_pg_args_reset(&r->args);
    ex_pg_put_text(&r->args, stream);
    ex_pg_put_i64(&r->args, upto < INT64_MAX ? (int64_t)upto : INT64_MAX);
    ex_pg_allow(r->pg, r->answer_ms);
    ex_status st = pg_run_again(r->pg, PG_STREAM_VERSION, &r->args, &rows, err);
    if (st == EX_OK)
        *ret = rows.rows ? (uint64_t)ex_pg_get_i64(&rows, 0, 0) : 0;
    ex_pg_result_free(&rows);
    return pg_as_storage(st, err);
}

static ex_status reader_read_commands(void *impl, uint64_t after, uint32_t limit, ex_command_fn *fn,
                                      void *ctx, ex_error *err)
{
    reader *r = impl;
    ex_pg_result rows = {0};
    ex_pg_args_reset(&r->args);
    ex_pg_put_i64(&r->args, after < INT64_MAX ? (int64_t)after : INT64_MAX);
    ex_pg_put_i64(&r->args, limit);
    ex_pg_allow(r->pg, r->answer_ms);
    ex_status st = pg_as_storage(pg_run_again(r->pg, PG_COMMANDS_AFTER, &r->args, &rows, err), err);
    for (int row = 0; st == EX_OK && row < rows.rows; row++) {
        ex_command_record record = {ex_pg_get_slice(&rows, row, 1),
                                    (uint64_t)ex_pg_get_i64(&rows, row, 2),
                                    ex_pg_get_i64(&rows, row, 3), ex_pg_get_slice(&rows, row, 4)};
        st = fn(ctx, (uint64_t)ex_pg_get_i64(&rows, row, 0), &record, err);
    }
    ex_pg_result_free(&rows);
    return st;
}

static uint32_t jump_rounds(const store_match *match)
{
    uint32_t probes = match->item->tag_count + match->item->type_count; /* in each round */
    return probes < MATCH_PROBES ? MATCH_PROBES / probes : 1;
}

static void put_jumps(reader *r, const store_match *match)
{
    const ex_query_item *item = match->item;
    ex_pg_args_reset(&r->args);
    pg_put_names(&r->args, item->tags, item->tag_count);
    pg_put_names(&r->args, item->types, item->type_count);
    ex_pg_put_i64(&r->args, (int64_t)match->after + 1);
    ex_pg_put_i64(&r->args, (int64_t)match->upto);
    ex_pg_put_i64(&r->args, jump_rounds(match));
}

static void take_jumps(const ex_pg_result *rows, store_match *match)
{
    uint64_t from = match->after + 1, reached = (uint64_t)ex_pg_get_i64(rows, 0, 0);
    bool is_match = ex_pg_get_bool(rows, 0, 1) && reached <= match->upto;
    match->position = is_match ? reached : 0;
    match->after = reached <= match->upto ? reached - 1 : match->upto;
    match->is_dense = reached - from < (uint64_t)jump_rounds(match) * DENSE_JUMP;
}

/* From list to list on the server: a round trip for each jump would cost a hundred times as much.
 */
static ex_status match_by_jumps(reader *r, store_match *match, ex_error *err)
{
    ex_pg_result rows = {0};
    put_jumps(r, match);
    ex_status st = pg_run_again(r->pg, PG_MATCH, &r->args, &rows, err);
    if (st == EX_OK)
        take_jumps(&rows, match);
    ex_pg_result_free(&rows);
    return pg_as_storage(st, err);
}

static ex_status send_jumps(reader *r, store_match *const *matches, uint32_t count, ex_error *err)
{
    ex_status st = EX_OK;
    uint32_t sent = 0;
    for (; st == EX_OK && sent < count; sent += st == EX_OK) {
        put_jumps(r, matches[sent]);
        st = ex_pg_send(r->pg, pg_sql(PG_MATCH), &r->args, err);
    }
    ex_status synced = sent ? ex_pg_sync(r->pg, st ? NULL : err) : st;
    return st ? st : synced;
}

static ex_status reader_match_each(void *impl, store_match *const *matches, uint32_t count,
                                   ex_error *err)
{
    reader *r = impl;
    assert(!r->is_active);
    ex_pg_allow(r->pg, r->answer_ms);
    ex_status st = send_jumps(r, matches, count, err);
    for (uint32_t i = 0; st == EX_OK && i < count; i++) {
        ex_pg_result rows = {0};
        st = ex_pg_recv(r->pg, &rows, err);
        if (st == EX_OK)
            take_jumps(&rows, matches[i]);
        ex_pg_result_free(&rows);
    }
    if (st && !ex_pg_is_broken(r->pg)) {
        ex_status unwanted = ex_pg_recv_all(r->pg, NULL);
        (void)unwanted; /* a broken connection is found when it is next used */
    }
    return pg_as_storage(st, err);
}

/* Lists that alternate all the time are read and merged here: PG_SEARCH would come further at a
 * time, and take its processor time from those who write. */
static ex_status match_by_reading(reader *r, store_match *match, ex_error *err)
{
    uint64_t before = match->after;
    ex_status st = postings_match(&r->source, &r->arena, match, err);
    ex_arena_reset(&r->arena);
    match->is_dense = match->after - before < DENSE_SLICE;
    return st;
}

static ex_status reader_match(void *impl, store_match *match, ex_error *err)
{
    reader *r = impl;
    assert(!r->is_active);
    ex_pg_allow(r->pg, r->answer_ms);
    return match->is_dense ? match_by_reading(r, match, err) : match_by_jumps(r, match, err);
}

static ex_status reader_epochs(void *impl, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    reader *r = impl;
    *ret = (store_epochs){0};
    ex_pg_allow(r->pg, r->answer_ms);
    return pg_as_storage(pg_epochs_ask(r->pg, arena, ret, err), err);
}

static ex_status reader_measure(void *impl, store_size *ret, ex_error *err)
{
    reader *r = impl;
    ex_pg_result rows = {0};
    ex_pg_allow(r->pg, r->answer_ms);
    ex_status st = pg_as_storage(pg_run_again(r->pg, PG_MEASURE, NULL, &rows, err), err);
    if (st == EX_OK)
        *ret = (store_size){.format = (uint32_t)ex_pg_get_i64(&rows, 0, 0),
                            .bytes = (uint64_t)ex_pg_get_i64(&rows, 0, 1)};
    ex_pg_result_free(&rows);
    if (st == EX_OK)
        st = pg_as_storage(pg_run_again(r->pg, PG_FEATURES, NULL, &rows, err), err);
    for (int row = 0; st == EX_OK && row < rows.rows; row++)
        store_features_add(&ret->features, ex_pg_get_slice(&rows, row, 0),
                           ex_pg_get_slice(&rows, row, 1));
    ex_pg_result_free(&rows);
    return st;
}

const store_reader_ops postgres_reader = {
    .open = reader_open,
    .close = reader_close,
    .start = reader_start,
    .next = reader_next,
    .has_row = reader_has_row,
    .cancel = reader_cancel,
    .stop = reader_stop,
    .head = reader_head,
    .is_replica = reader_is_replica,
    .stream_version = reader_stream_version,
    .read_commands = reader_read_commands,
    .match = reader_match,
    .match_each = reader_match_each,
    .epochs = reader_epochs,
    .measure = reader_measure,
};
