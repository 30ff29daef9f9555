/* log_epoch.c: when the log in events.db gets a new epoch.
 *
 * A file cannot lose anything while it is open here (the driver would notice that
 * it was exchanged), so all of it is decided at open, from what was left by the
 * one who wrote last:
 *
 *   evidence                                      what it means
 *   --------------------------------------------  ------------------------------------
 *   the trace knows of events beyond the end      the end is lost, or the file is older
 *   the file is not the one that the log names    restored or copied
 *   (inode and time of birth)
 *   the trace is of another log, or there is      restored or copied, without it
 *   none
 *   the file has changed since it was closed      something was copied over it
 *   (ctime)
 *   the log says "open"                           not closed in order; in mode normal a power
 *                                                 cut may have taken the end
 *   the trace says "open"                         not closed in order
 *
 * The mark for mode normal stands in the log and is synced before the first
 * append, and taken away after the last one is synced; so a power cut leaves
 * either the mark, or everything. In mode full nothing that was acknowledged can
 * be missing. What a recovery found in the WAL may never have been synced, and is
 * going to be shown to readers: the commit of the epoch syncs it.
 *
 * kill -9 between any two of these steps leaves one more epoch at worst: marks
 * are set before the first append and taken away after the last. */
#include "store/sqlite/log_epoch.h"

#include <stdio.h>

#include "store/sqlite/wal_proof.h"

/** The row of log_identity. */
typedef struct identity_row {
    ex_id log_id;
    char place[LOG_PLACE_SIZE]; /* "": nobody has written the log yet */
    int state;                  /* is_open: bits of wal_proof.h */
} identity_row;

/* ---- Rows ---- */

static ex_status prepare(sqlite_conn *c, const char *sql, sqlite3_stmt **ret, ex_error *err)
{
    int rc = sqlite3_prepare_v2(c->db, sql, -1, ret, NULL);
    return rc == SQLITE_OK ? EX_OK
                           : sqlite_conn_raise(c, rc, "cannot read the identity of the log", err);
}

/* Run and finalize; `rc` is of the binding. */
static ex_status run(sqlite_conn *c, sqlite3_stmt *st, int rc, ex_error *err)
{
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    ex_status status = rc == SQLITE_DONE
                           ? EX_OK
                           : sqlite_conn_raise(c, rc, "cannot write the identity of the log", err);
    (void)sqlite3_finalize(st); /* repeats rc */
    return status;
}

static ex_status read_id(sqlite3_stmt *st, int column, ex_id *ret, ex_error *err)
{
    ex_slice bytes = column_bytes(st, column);
    *ret = (ex_id){.form = EX_ID_UUID};
    if (bytes.len != sizeof(ret->bytes))
        return ex_raise(err, EX_ECORRUPT, "an id of the log has %zu bytes", bytes.len);
    memcpy(ret->bytes, bytes.ptr, sizeof(ret->bytes));
    return EX_OK;
}

static ex_status read_row(sqlite_conn *c, identity_row *ret, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status =
        prepare(c, "SELECT log_id, place, is_open FROM log_identity WHERE one = 1", &st, err);
    if (status)
        return status;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        ex_slice place = column_bytes(st, 1);
        (void)snprintf(ret->place, sizeof(ret->place), "%.*s", EX_ARG(place)); /* cut: another */
        ret->state = sqlite3_column_int(st, 2);
        status = read_id(st, 0, &ret->log_id, err);
    } else {
        status = rc == SQLITE_DONE
                     ? ex_raise(err, EX_ECORRUPT, "the log has lost its identity")
                     : sqlite_conn_raise(c, rc, "cannot read the identity of the log", err);
    }
    (void)sqlite3_finalize(st); /* repeats rc */
    return status;
}

static ex_status write_row(sqlite_conn *c, const identity_row *row, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = prepare(c,
                               "INSERT INTO log_identity (one, log_id, place, is_open) "
                               "VALUES (1, ?1, ?2, ?3) ON CONFLICT (one) DO UPDATE SET "
                               "log_id = excluded.log_id, place = excluded.place, "
                               "is_open = excluded.is_open",
                               &st, err);
    if (status)
        return status;
    int rc = bind_blob(st, 1, ex_slice_of(row->log_id.bytes, sizeof(row->log_id.bytes)));
    rc = rc ? rc : bind_text(st, 2, ex_str(row->place));
    rc = rc ? rc : sqlite3_bind_int(st, 3, row->state);
    return run(c, st, rc, err);
}

static ex_status write_epoch(sqlite_conn *c, const ex_log_epoch *e, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = prepare(c,
                               "INSERT INTO log_epochs (id, first, opened_at, reason) "
                               "VALUES (?1, ?2, ?3, ?4)",
                               &st, err);
    if (status)
        return status;
    int rc = bind_blob(st, 1, ex_slice_of(e->id.bytes, sizeof(e->id.bytes)));
    rc = rc ? rc : bind_u64(st, 2, e->first);
    rc = rc ? rc : sqlite3_bind_int64(st, 3, e->opened_at_us);
    rc = rc ? rc : bind_text(st, 4, ex_str(ex_epoch_reason_name(e->reason)));
    return run(c, st, rc, err);
}

static ex_status read_epochs(sqlite_conn *c, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_log_epoch *list = ex_arena_array(arena, LOG_EPOCHS_KEPT, sizeof(*list));
    if (!list)
        return ex_raise(err, EX_ENOMEM, "no memory for the epochs of the log");
    ex_status status = prepare(c,
                               "SELECT id, first, opened_at, reason FROM log_epochs "
                               "ORDER BY number DESC LIMIT ?1",
                               &st, err);
    if (status)
        return status;
    uint32_t at = LOG_EPOCHS_KEPT; /* the newest comes first and stands last */
    int rc = sqlite3_bind_int(st, 1, LOG_EPOCHS_KEPT);
    while (status == EX_OK && (rc == SQLITE_OK || rc == SQLITE_ROW)) {
        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        ex_log_epoch *e = &list[--at];
        *e = (ex_log_epoch){.first = column_u64(st, 1),
                            .opened_at_us = sqlite3_column_int64(st, 2),
                            .reason = log_epoch_reason_of(column_bytes(st, 3))};
        status = read_id(st, 0, &e->id, err);
    }
    if (status == EX_OK && rc != SQLITE_DONE)
        status = sqlite_conn_raise(c, rc, "cannot read the epochs of the log", err);
    (void)sqlite3_finalize(st); /* repeats rc */
    ret->epochs = list + at;
    ret->count = LOG_EPOCHS_KEPT - at;
    return status;
}

static ex_status has_table(sqlite_conn *c, const char *name, bool *ret, ex_error *err)
{
    char sql[96];
    int64_t count = 0;
    (void)snprintf(sql, sizeof(sql), /* fits: names of ours */
                   "SELECT count(*) FROM sqlite_schema WHERE name = '%s'", name);
    ex_status st = sqlite_conn_number(c, sql, &count, err);
    *ret = count != 0;
    return st;
}

ex_status log_epoch_read(sqlite_conn *c, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    bool has_identity = false;
    identity_row row;
    *ret = (store_epochs){0};
    ex_status st = has_table(c, "log_identity", &has_identity, err);
    if (st || !has_identity)
        return st;
    st = read_row(c, &row, err);
    if (st == EX_OK)
        st = read_epochs(c, arena, ret, err);
    ret->log_id = row.log_id;
    return st;
}

ex_status log_features_read(sqlite_conn *c, store_features *ret, ex_error *err)
{
    bool has_features = false;
    sqlite3_stmt *st = NULL;
    *ret = (store_features){0};
    ex_status status = has_table(c, "features", &has_features, err);
    if (status == EX_OK && has_features)
        status = prepare(c, "SELECT name, class FROM features ORDER BY name", &st, err);
    if (status || !has_features)
        return status;
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        store_features_add(ret, column_bytes(st, 0), column_bytes(st, 1));
    if (rc != SQLITE_DONE)
        status = sqlite_conn_raise(c, rc, "cannot read the features of the log", err);
    (void)sqlite3_finalize(st); /* repeats rc */
    return status;
}

/* ---- Beginning ---- */

ex_status log_epoch_first(sqlite_conn *c, ex_epoch_reason reason, ex_error *err)
{
    identity_row row = {.place = ""};
    ex_log_epoch first;
    ex_status st = ex_id_new(&row.log_id, err);
    if (st == EX_OK)
        st = log_epoch_make(1, reason, &first, err);
    if (st == EX_OK)
        st = write_row(c, &row, err);
    return st ? st : write_epoch(c, &first, err);
}

/* EX_EPOCH_UNKNOWN: nothing speaks for a new epoch. */
static ex_epoch_reason find_reason(const identity_row *row, const char *path, const char *place,
                                   uint64_t head, const log_trace_was *was)
{
    if (!row->place[0])
        return EX_EPOCH_UNKNOWN;
    bool is_same_log = was->is_there && ex_id_eq(&was->log_id, &row->log_id);
    if (is_same_log && was->head > head)
        return EX_EPOCH_LOST_END;
    if (!is_same_log || strcmp(row->place, place) != 0)
        return EX_EPOCH_REPLACED;
    if (row->state || !was->was_closed) /* a trace that says "closed" is then an old one */
        return EX_EPOCH_UNCLEAN;
    return was->closed_ns != log_trace_changed_ns(path) ? EX_EPOCH_REPLACED : EX_EPOCH_UNKNOWN;
}

static ex_status write_marks(sqlite_conn *c, const identity_row *row, ex_epoch_reason reason,
                             uint64_t head, ex_error *err)
{
    ex_log_epoch epoch;
    ex_status st = sqlite_conn_exec(c, "BEGIN IMMEDIATE", err);
    if (st)
        return st;
    if (reason)
        st = log_epoch_make(head + 1, reason, &epoch, err);
    if (st == EX_OK && reason)
        st = write_epoch(c, &epoch, err);
    if (st == EX_OK)
        st = write_row(c, row, err);
    if (st == EX_OK)
        st = sqlite_conn_exec(c, "COMMIT", err);
    if (st)
        (void)sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL); /* the first failure counts */
    return st;
}

static ex_status tell(sqlite_conn *c, log_identity *identity, ex_error *err)
{
    ex_arena arena;
    store_epochs e;
    ex_arena_init(&arena, 0);
    ex_status st = log_epoch_read(c, &arena, &e, err);
    if (st == EX_OK)
        st = log_identity_set(identity, &e.log_id, e.epochs, e.count, err);
    ex_arena_done(&arena);
    return st;
}

ex_status log_epoch_begin(sqlite_conn *c, const char *path, bool is_normal, log_trace *trace,
                          log_identity *identity, ex_error *err)
{
    char place[LOG_PLACE_SIZE];
    identity_row row = {.place = ""};
    log_trace_was was;
    int64_t head = 0;
    ex_status st = read_row(c, &row, err);
    if (st == EX_OK)
        st = sqlite_conn_number(c, "SELECT ifnull(max(position), 0) FROM events", &head, err);
    if (st)
        return st;
    log_trace_place(path, place);
    if (!place[0])
        (void)snprintf(place, sizeof(place), "unknown");
    log_trace_open(trace, path, &was);
    ex_epoch_reason reason = find_reason(&row, path, place, (uint64_t)head, &was);
    row.state = WAL_PROOF_OPEN | (is_normal ? WAL_PROOF_NORMAL : 0);
    memcpy(row.place, place, sizeof(place));
    st = write_marks(c, &row, reason, (uint64_t)head, err);
    if (st == EX_OK) /* the mark must stand in the file itself; a foreign reader may keep it out */
        (void)sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (st == EX_OK)
        st = tell(c, identity, err);
    if (was.is_there && ex_id_eq(&was.log_id, &row.log_id))
        trace->seen_us = was.seen_us;
    if (st == EX_OK)
        log_trace_begin(trace, &row.log_id, (uint64_t)head);
    return st;
}

/* All events are in the file before it says so. */
static bool fold_in(sqlite_conn *c)
{
    int in_wal = 0, folded = -1;
    return sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &folded) ==
               SQLITE_OK &&
           in_wal == folded;
}

bool log_epoch_end(sqlite_conn *c)
{
    if (!c->db || !sqlite3_get_autocommit(c->db) ||
        sqlite_conn_exec(c, "PRAGMA synchronous = FULL", NULL))
        return false;
    /* with a foreign reader in the way the WAL stays, and so does the mark that says so */
    return fold_in(c) && sqlite_conn_exec(c, "UPDATE log_identity SET is_open = 0", NULL) == EX_OK;
}

/* ---- Becoming a copy of another log ---- */

ex_status log_epoch_adopt(sqlite_conn *c, const store_epochs *epochs, ex_error *err)
{
    identity_row row = {.place = ""};
    ex_status st = read_row(c, &row, err);
    if (st == EX_OK && !ex_id_eq(&row.log_id, &epochs->log_id)) {
        row.log_id = epochs->log_id;
        st = write_row(c, &row, err);
    }
    for (uint32_t i = 0; st == EX_OK && i < epochs->count; i++)
        st = write_epoch(c, &epochs->epochs[i], err);
    return st;
}
