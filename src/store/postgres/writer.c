/* writer.c: a batch is one transaction on the writing connection, in two round trips, or in one.
 *
 * Happy path:
 *
 *   begin    BEGIN; lock the head; what others appended; what the batch wants     1
 *   write    statements are queued, nothing is sent                               -
 *   commit   … and sent: events, tags, commands; the head moves; NOTIFY; COMMIT   1
 *
 * Where nobody else writes (begin_blind) begin is sent with the commit, too: it
 * locks the head where this writer left it, or fails. Streams, events and
 * commands that exist although the batch has them for new violate the tables'
 * unique indexes. Either way the server drops all of the batch.
 *
 * Whoever holds the head's lock is the only writer of the log until his
 * transaction ends; the next one reads, in a statement after it got the lock,
 * all that the one before has written. Thus positions are contiguous and become
 * visible in their order, on any number of nodes.
 *
 * Possible failure modes:
 * - a statement fails: the server drops the rest of what was sent with it, the
 *   COMMIT too; rollback.
 * - the connection ends before COMMIT was sent: the server rolls back by itself.
 * - the answer to COMMIT does not come: fate.c finds out, or the next begin.
 * - begin finds no connection: it connects anew, once; later batches try again.
 * - a node stands still with the lock: the server ends its session after half of
 *   the answer time-out, those who wait give up after three quarters of it, both
 *   retryable.
 * - nothing comes: a dead connection is found out after a second when the server
 *   answers others (pg_beside.c). When it answers nobody, the batch is given up at
 *   its deadline.
 * - it stands still before it has read what begin asked for: the server waits for
 *   it without end, so those who gave up end its session. */
#include <stdio.h>
#include <stdlib.h>

#include "store/postgres/event_row.h"
#include "store/postgres/postgres_driver.h"

#define NEWS_EVENTS 1000
#define NEWS_BYTES  (4 << 20)

#define BRIEF_EVENTS 10000 /* a hundred bytes or so each */

/* ---- Statements in flight ---- */

ex_slice pg_sql(pg_statement which)
{
    static const ex_slice texts[] = {
#define TEXT(name, plan, sql) EX_S_INIT(sql),
        PG_STATEMENT_MAP(TEXT)
#undef TEXT
    };
    return texts[which];
}

ex_status pg_as_storage(ex_status status, ex_error *err)
{
    if (status == EX_OK || status == EX_ECORRUPT || status == EX_ENOMEM || status == EX_ECANCELLED)
        return status;
    if (err) {
        char message[EX_ERROR_MESSAGE_SIZE];
        memcpy(message, err->message, sizeof(message));
        return ex_raise(err, EX_ESTORAGE, "%s", message);
    }
    return EX_ESTORAGE;
}

ex_status pg_queue(postgres_driver *d, pg_statement which, ex_error *err)
{
    ex_status st = ex_pg_send(d->writer, pg_sql(which), &d->args, err);
    if (st == EX_OK)
        d->unsynced++;
    ex_pg_args_reset(&d->args);
    return st;
}

ex_status pg_queue_write(postgres_driver *d, pg_statement which, ex_error *err)
{
    ex_status st = pg_queue(d, which, err);
    if (st == EX_OK)
        d->queued++;
    return st;
}

void pg_forget_queued(postgres_driver *d)
{
    d->queued = d->unsynced = 0;
    d->tags_at = d->oldest_at = d->seen_at = SIZE_MAX;
    d->asked_count = 0;
}

static void learn_oldest(postgres_driver *d, const ex_pg_result *r)
{
    d->oldest_command_us = r->rows ? ex_pg_get_i64(r, 0, 0) : INT64_MIN;
}

static void learn_seen(postgres_driver *d, const ex_pg_result *r)
{
    d->seen_us = r->rows ? ex_pg_get_i64(r, 0, 0) : 0;
}

ex_status pg_settle(postgres_driver *d, ex_error *err)
{
    ex_status st = ex_pg_sync(d->writer, err);
    for (size_t i = 0; st == EX_OK && i < d->queued; i++) {
        ex_pg_result r = {0};
        st = ex_pg_recv(d->writer, &r, err);
        if (st == EX_OK && i == d->tags_at)
            pg_learn_tags(d, &r);
        if (st == EX_OK && i == d->oldest_at)
            learn_oldest(d, &r);
        if (st == EX_OK && i == d->seen_at)
            learn_seen(d, &r);
        ex_pg_result_free(&r);
    }
    pg_forget_queued(d);
    return st;
}

/* ---- News ---- */

static void drop_news(postgres_driver *d)
{
    ex_pg_result_free(&d->news.rows);
    d->news.count = 0;
}

void pg_writer_expect(void *impl, uint64_t known, bool is_brief, const store_lookup *lookup)
{
    postgres_driver *d = impl;
    d->known = known;
    d->news.is_brief = is_brief;
    d->lookup = lookup;
}

void pg_writer_limit(void *impl, uint64_t deadline_ns)
{
    postgres_driver *d = impl;
    ex_pg_set_deadline(d->writer, deadline_ns);
}

void pg_writer_news(void *impl, store_news *ret)
{
    const pg_news *n = &((postgres_driver *)impl)->news;
    *ret = (store_news){n->events, n->stream_ids, n->count, n->is_brief};
}

static ex_status send_news(postgres_driver *d, ex_error *err)
{
    ex_pg_put_i64(&d->args, (int64_t)d->known + 1);
    if (d->news.is_brief) {
        ex_pg_put_i64(&d->args, BRIEF_EVENTS);
        return pg_queue(d, PG_LOG_BRIEF, err);
    }
    ex_pg_put_i64(&d->args, INT64_MAX);
    ex_pg_put_i64(&d->args, NEWS_EVENTS);
    ex_pg_put_i64(&d->args, NEWS_BYTES);
    return pg_queue(d, PG_LOG_CHUNK, err);
}

static ex_status reserve_news(pg_news *n, uint32_t count, ex_error *err)
{
    if (count <= n->room)
        return EX_OK;
    ex_event *events = realloc(n->events, count * sizeof(*events));
    if (events)
        n->events = events;
    uint64_t *ids = realloc(n->stream_ids, count * sizeof(*ids));
    if (ids)
        n->stream_ids = ids;
    if (!events || !ids)
        return ex_raise(err, EX_ENOMEM, "no memory for what others appended");
    n->room = count;
    return EX_OK;
}

static ex_status receive_news(postgres_driver *d, ex_error *err)
{
    pg_news *n = &d->news;
    pg_event_read_fn *read = n->is_brief ? pg_event_read_brief : pg_event_read;
    ex_status st = ex_pg_recv(d->writer, &n->rows, err);
    if (st == EX_OK)
        st = reserve_news(n, (uint32_t)n->rows.rows, err);
    for (int row = 0; st == EX_OK && row < n->rows.rows; row++) {
        st = read(&n->rows, row, &n->events[row], &n->stream_ids[row], err);
        if (st == EX_OK && n->events[row].position != d->known + 1 + (uint64_t)row)
            st = ex_raise(err, EX_ECORRUPT, "event %llu is missing in the log",
                          (unsigned long long)d->known + 1 + (uint64_t)row);
    }
    if (st == EX_OK)
        n->count = (uint32_t)n->rows.rows;
    return st;
}

/* ---- Begin ---- */

static ex_status connect_writer(postgres_driver *d, ex_error *err)
{
    ex_status st = EX_OK;
    if (ex_pg_is_broken(d->writer)) {
        pg_forget_queued(d);
        d->epochs.is_proven = false;
        st = ex_pg_reopen(d->writer, err);
    }
    if (st == EX_OK)
        st = pg_epoch_prove(d, err);
    return st ? st : pg_settle_fate(d, err);
}

ex_status pg_receive_head(postgres_driver *d, store_head *ret, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK && r.rows != 1)
        st = ex_raise(err, EX_ECORRUPT, "the log of schema '%s' has no head", d->schema);
    if (st == EX_OK) {
        ret->position = (uint64_t)ex_pg_get_i64(&r, 0, 0);
        ret->recorded_at_us = ex_pg_get_i64(&r, 0, 1);
        d->last_id = (uint64_t)ex_pg_get_i64(&r, 0, 2);
        /* another node has opened an epoch, or somebody has made the tables anew: look again */
        d->epochs.is_proven &= (uint64_t)ex_pg_get_i64(&r, 0, 3) == d->epochs.number &&
                               ex_pg_get_i64(&r, 0, 4) == d->epochs.table &&
                               (ret->position >= d->known || pg_epoch_explains(d, d->known));
    }
    ex_pg_result_free(&r);
    return st;
}

static ex_status begin_once(postgres_driver *d, store_head *ret, ex_error *err)
{
    drop_news(d);
    ex_status st = pg_queue(d, PG_BEGIN, err);
    if (st == EX_OK)
        st = pg_queue(d, PG_HEAD_LOCK, err);
    if (st == EX_OK)
        st = send_news(d, err);
    if (st == EX_OK && d->lookup)
        st = pg_lookup_send(d, d->lookup, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = ex_pg_recv(d->writer, NULL, err);
    if (st == EX_OK)
        st = pg_receive_head(d, ret, err);
    if (st == EX_OK)
        st = receive_news(d, err);
    if (st == EX_OK && d->lookup)
        st = pg_lookup_receive(d, d->lookup, err);
    return st ? st : pg_log_end_learn(d, ret->position, err);
}

static void end_stuck_holder(postgres_driver *d)
{
    if (ex_pg_is_broken(d->writer) || strcmp(ex_pg_sqlstate(d->writer), "55P03") != 0)
        return; /* it was not the lock */
    pg_writer_rollback(d);
    ex_status st = ex_pg_run(d->writer, pg_sql(PG_HEAD_FREE), NULL, NULL, NULL);
    (void)st; /* the next batch meets the lock again, and tries again */
}

static void start_batch(postgres_driver *d)
{
    d->head = d->left.head;
    d->position = d->head.position;
    pg_written_reset(&d->written);
}

/* Twice: a session that was idle may have ended meanwhile, and a log may have to be proven anew; a
 * third time when both come together. */
static ex_status try_again(postgres_driver *d,
                           ex_status (*try_it)(postgres_driver *d, store_head *ret, ex_error *err),
                           store_head *ret, ex_error *err)
{
    ex_status st = EX_OK;
    for (int i = 0; i < 3; i++) {
        st = connect_writer(d, err);
        if (st == EX_OK)
            st = try_it(d, ret, err);
        bool is_lost = ex_pg_is_broken(d->writer);
        if (st ? !is_lost : d->epochs.is_proven)
            return st;
        if (!is_lost)
            pg_writer_rollback(d);
    }
    return st ? st : ex_raise(err, EX_EAGAIN, "the log opens one epoch after the other");
}

ex_status pg_writer_begin(void *impl, store_head *ret, ex_error *err)
{
    postgres_driver *d = impl;
    ex_status st = try_again(d, begin_once, ret, err);
    d->lookup = NULL;
    d->left.is_known = st == EX_OK;
    if (st) {
        end_stuck_holder(d);
        return pg_as_storage(st, err);
    }
    d->left = (pg_left){*ret, d->last_id, true};
    start_batch(d);
    ret->fate = d->fate;
    d->fate = STORE_FATE_NONE;
    return EX_OK;
}

ex_status pg_writer_begin_blind(void *impl, uint64_t known, store_head *ret, ex_error *err)
{
    postgres_driver *d = impl;
    if (!d->left.is_known || d->left.head.position != known || !d->epochs.is_proven ||
        ex_pg_is_broken(d->writer) || d->is_unknown || d->fate)
        return EX_EAGAIN;
    drop_news(d);
    ex_status st = pg_queue_write(d, PG_BEGIN, err);
    if (st == EX_OK) {
        ex_pg_put_i64(&d->args, (int64_t)known);
        ex_pg_put_i64(&d->args, (int64_t)d->left.last_id);
        ex_pg_put_i64(&d->args, (int64_t)d->epochs.number);
        ex_pg_put_i64(&d->args, d->epochs.table);
        st = pg_queue_write(d, PG_HEAD_CHECK, err);
    }
    if (st) {
        pg_writer_rollback(d); /* takes away what was queued */
        return pg_as_storage(st, err);
    }
    d->last_id = d->left.last_id;
    start_batch(d);
    *ret = d->head;
    return EX_OK;
}

/* Without the lock: only what is committed is seen, and it became visible in order. */
static ex_status refresh_once(postgres_driver *d, store_head *ret, ex_error *err)
{
    drop_news(d);
    ex_status st = pg_queue(d, PG_HEAD, err);
    if (st == EX_OK)
        st = send_news(d, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        st = pg_receive_head(d, ret, err);
    if (st == EX_OK)
        st = receive_news(d, err);
    if (st == EX_OK && d->news.count && d->known + d->news.count > ret->position)
        ret->position = d->known + d->news.count; /* appended between the two */
    return st ? st : pg_log_end_learn(d, ret->position, err);
}

ex_status pg_writer_refresh(void *impl, uint64_t known, bool is_brief, store_head *ret,
                            ex_error *err)
{
    postgres_driver *d = impl;
    pg_writer_expect(d, known, is_brief, NULL);
    ex_status st = try_again(d, refresh_once, ret, err);
    if (st) {
        pg_writer_rollback(d); /* takes away what was queued */
        return pg_as_storage(st, err);
    }
    return EX_OK;
}

/* ---- Forgetting old commands ---- */

ex_status pg_writer_expire_commands(void *impl, int64_t before_us, uint32_t limit, ex_error *err)
{
    postgres_driver *d = impl;
    if (d->oldest_command_us >= before_us)
        return EX_OK;
    d->has_written = true;
    ex_pg_put_i64(&d->args, before_us);
    ex_pg_put_i64(&d->args, limit);
    ex_status st = pg_queue_write(d, PG_COMMANDS_EXPIRE, err);
    if (st == EX_OK)
        st = pg_queue_write(d, PG_COMMANDS_OLDEST, err);
    if (st == EX_OK)
        d->oldest_at = d->queued - 1;
    return pg_as_storage(st, err);
}

/* What is asked for here is known from the next batch on. */
ex_status pg_writer_keep_time(void *impl, int64_t seen_us, store_seen_time *ret, ex_error *err)
{
    postgres_driver *d = impl;
    ex_status st = EX_OK;
    if (d->has_seen_time && seen_us >= 0) {
        d->has_written = true;
        ex_pg_put_i64(&d->args, seen_us);
        st = pg_queue_write(d, PG_TIME_SEEN, err);
        d->seen_at = st ? SIZE_MAX : d->queued - 1;
    }
    *ret = (store_seen_time){d->seen_us, d->oldest_command_us};
    return pg_as_storage(st, err);
}

/* ---- Commit and rollback ---- */

/* The commit of an empty batch writes the head's row and the WAL, but takes no room. */
ex_status pg_writer_probe(void *impl, ex_error *err)
{
    postgres_driver *d = impl;
    ex_status st = pg_queue_write(d, PG_PROBE_MEMORY, err);
    if (st == EX_OK)
        st = pg_queue_write(d, PG_PROBE_DISK, err);
    return pg_as_storage(st, err);
}

static int64_t head_time(const postgres_driver *d)
{
    return d->written.recorded_at_us > d->head.recorded_at_us ? d->written.recorded_at_us
                                                              : d->head.recorded_at_us;
}

ex_status pg_queue_head_move(postgres_driver *d, uint64_t from, const store_head *to, ex_error *err)
{
    ex_pg_args_reset(&d->args);
    ex_pg_put_i64(&d->args, (int64_t)from);
    ex_pg_put_i64(&d->args, (int64_t)to->position);
    ex_pg_put_i64(&d->args, to->recorded_at_us);
    ex_pg_put_i64(&d->args, (int64_t)d->last_id);
    return pg_queue_write(d, PG_HEAD_MOVE, err);
}

static ex_status queue_commit(postgres_driver *d, ex_error *err)
{
    store_head to = {.position = d->position, .recorded_at_us = head_time(d)};
    ex_status st = pg_queue_head_move(d, d->head.position, &to, err);
    if (st == EX_OK && d->position > d->head.position) {
        char text[24];
        int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)d->position);
        ex_pg_put_text(&d->args, ex_str(d->channel));
        ex_pg_put_text(&d->args, ex_slice_of(text, (size_t)len));
        st = pg_queue_write(d, PG_NOTIFY, err);
    }
    return st ? st : pg_queue_write(d, PG_COMMIT, err);
}

/* What the batch believed without asking: the server has refused it, COMMIT included. */
static bool has_erred(const postgres_driver *d)
{
    static const char division_by_zero[] = "22012", unique_violation[] = "23505";
    const char *state = ex_pg_sqlstate(d->writer);
    return strcmp(state, division_by_zero) == 0 || strcmp(state, unique_violation) == 0;
}

static ex_status end_transaction(postgres_driver *d, ex_error *err)
{
    ex_status st = queue_commit(d, err);
    bool is_sent = st == EX_OK;
    if (st == EX_OK)
        st = pg_settle(d, err);
    if (st == EX_OK)
        return EX_OK;
    /* Without a word of the server's own it may have done all that it was sent. */
    if (ex_pg_is_broken(d->writer) || (is_sent && !*ex_pg_sqlstate(d->writer)))
        return pg_find_fate(d, err);
    return has_erred(d) ? EX_EAGAIN : pg_as_storage(st, err);
}

ex_status pg_writer_commit(void *impl, ex_error *err)
{
    postgres_driver *d = impl;
    ex_status st = end_transaction(d, err);
    if (st == EX_EAGAIN || st == EX_EOUTCOME)
        return st;
    if (st) {
        end_stuck_holder(d); /* a blind batch meets him here */
        return pg_as_storage(st, err);
    }
    d->has_written = false;
    d->left =
        (pg_left){{.position = d->position, .recorded_at_us = head_time(d)}, d->last_id, true};
    pg_log_end_committed(d);
    return EX_OK;
}

void pg_names_forget(postgres_driver *d)
{
    ex_map_done(&d->tags, NULL);
    ex_map_init(&d->tags, PG_TAG_NAMES_LIMIT);
    d->oldest_command_us = INT64_MIN;
    d->seen_us = 0;
}

void pg_writer_rollback(void *impl)
{
    postgres_driver *d = impl;
    ex_pg_args_reset(&d->args);
    /* begin finds out what fails here: it needs a connection without a transaction */
    ex_status st = EX_OK;
    if (d->unsynced)
        st = ex_pg_sync(d->writer, NULL);
    if (st == EX_OK && ex_pg_pending(d->writer))
        st = ex_pg_recv_all(d->writer, NULL); /* also what failed before */
    pg_forget_queued(d);
    ex_pg_tx tx = ex_pg_tx_state(d->writer);
    if (tx == EX_PG_TX_OPEN || tx == EX_PG_TX_FAILED)
        st = ex_pg_run(d->writer, pg_sql(PG_ROLLBACK), NULL, NULL, NULL);
    (void)st;
    if (d->has_written)
        pg_names_forget(d); /* they may have been given in the batch that is gone */
    d->has_written = false;
}
