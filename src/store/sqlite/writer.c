/* writer.c: the writing side of the SQLite driver: a batch is one transaction.
 *
 * Happy path: BEGIN IMMEDIATE, read the head, look up what is asked for (lookup.c), insert,
 * COMMIT (one fsync of the WAL when durability is full).
 *
 * Possible failure modes: a write or the commit fails (disk full, I/O error).
 * SQLite may or may not have rolled back by itself; rollback makes sure, and
 * forgets the names that were interned in the batch and the tails of the streams. The next begin
 * reads the head from the file again. When even that fails the connection is replaced by a new one;
 * while that fails, too, begin fails and the store refuses writes.
 *
 * A failed COMMIT may leave frames behind that come back later: fate.c.
 *
 * Checkpoints: checkpointer.h. */
#include "store/sqlite/sqlite_driver.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "store/sqlite/lists.h"
#include "store/sqlite/event_row.h"
#include "store/sqlite/log_epoch.h"
#include "store/sqlite/schema.h"

/* A WAL that grew beyond is cut when it starts anew; a smaller one is written over in place, which
 * costs no change of the file's size. */
#define WAL_KEPT_BYTES   (80 << 20)
#define TYPE_NAMES_LIMIT 4096
#define TAG_NAMES_LIMIT  16384

/* ---- Opening ---- */

static int on_wal_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    (void)db;
    (void)name;
    sqlite_driver *d = ctx;
    d->batch_pages = pages;
    checkpointer_note(&d->checkpoints, pages);
    return SQLITE_OK;
}

/* What the log says of itself is synced in either mode. */
static ex_status set_up(sqlite_driver *d, ex_error *err)
{
    char sql[160];
    bool is_normal = d->durability == EX_DURABILITY_NORMAL;
    (void)snprintf(sql, sizeof(sql), /* always fits */
                   "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = %d;", WAL_KEPT_BYTES);
    ex_status st = sqlite_conn_exec(&d->writer, "PRAGMA synchronous = FULL", err);
    if (st == EX_OK) /* in a new file before there is a WAL: see wal_proof.c */
        st = sqlite_schema_migrate(&d->writer, d->path, err);
    if (st == EX_OK)
        st = sqlite_conn_exec(&d->writer, sql, err);
    if (st == EX_OK && !d->is_claimed) {
        st = log_epoch_begin(&d->writer, d->path, is_normal, &d->trace, d->identity, err);
        wal_proof_look_alone(d->path, d->vfs, &d->claimed);
    }
    d->is_claimed |= st == EX_OK;
    if (st == EX_OK && is_normal)
        st = sqlite_conn_exec(&d->writer, "PRAGMA synchronous = NORMAL", err);
    if (st == EX_OK)
        (void)sqlite3_wal_hook(d->writer.db, on_wal_commit, d); /* returns the hook before */
    return st;
}

/* When the last connection is closed SQLite copies the WAL into the database and deletes it, by
 * name. That is right only for a log that then says that it is closed (wal_proof.h), and whose
 * files are still ours. */
static void keep_wal(sqlite_driver *d, bool is_kept)
{
    (void)sqlite3_db_config(d->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_kept, NULL);
}

/* SQLite opens a file that it may not write for reading, and tells at the first append. Asked
 * before, because the files beside it would be made with the same mode. */
static ex_status check_writable(const sqlite_driver *d, ex_error *err)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    if (access(d->path, F_OK) == 0 && access(d->path, W_OK) != 0)
        return ex_raise(err, EX_EREADONLY, "'%s' may not be written by this process: %s", d->path,
                        strerror(errno));
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        char path[PATH_MAX];
        (void)snprintf(path, sizeof(path), "%s%s", d->path, suffixes[i]); /* fits: see fill_in */
        if (access(path, F_OK) == 0 && access(path, W_OK) != 0)
            return ex_raise(err, EX_EREADONLY,
                            "'%s' may not be written by this process, though the log may: another "
                            "user has left it",
                            path);
    }
    return EX_OK;
}

ex_status sqlite_writer_open(sqlite_driver *d, bool may_create, ex_error *err)
{
    sqlite_conn_options options = {d->path, d->wal_writes.name,
                                   SQLITE_OPEN_READWRITE | (may_create ? SQLITE_OPEN_CREATE : 0),
                                   d->page_cache_bytes};
    ex_map_init(&d->types.map, TYPE_NAMES_LIMIT);
    ex_map_init(&d->tags.map, TAG_NAMES_LIMIT);
    d->types.find = STATEMENT_TYPE_FIND;
    d->types.insert = STATEMENT_TYPE_INSERT;
    d->tags.find = STATEMENT_TAG_FIND;
    d->tags.insert = STATEMENT_TAG_INSERT;
    d->oldest_command_us = INT64_MIN;
    /* another file at the path is not touched */
    ex_status st = d->watch.why.status;
    if (st && err)
        *err = d->watch.why;
    if (st == EX_OK && d->watch.db.inode)
        st = ex_file_mark_check(d->path, &d->watch.db, NULL, err);
    if (st == EX_OK)
        st = check_writable(d, err);
    if (st == EX_OK)
        st = sqlite_conn_open(&d->writer, &options, err);
    if (st)
        return st;
    keep_wal(d, true);
    if (sqlite3_db_readonly(d->writer.db, "main") == 1) /* by what access(2) does not know of */
        st = ex_raise(err, EX_EREADONLY, "'%s' may not be written by this process", d->path);
    /* before anything is changed in a file that may not be ours */
    if (st == EX_OK && !d->is_claimed)
        st = wal_proof_check(&d->writer, d->path, d->vfs, &d->seen, d->without_wal, err);
    if (st == EX_OK)
        st = sqlite_schema_check(&d->writer, d->path, true, err);
    if (st == EX_OK)
        st = set_up(d, err);
    if (st == EX_OK)
        st = file_watch_begin(&d->watch, d->writer.db, err);
    if (st)
        sqlite_conn_close(&d->writer);
    return st;
}

static bool is_ours(const sqlite_driver *d)
{
    const ex_id log_id = log_identity_log_id(d->identity);
    return wal_proof_is_ours(d->path, d->vfs, &d->claimed, &log_id);
}

void sqlite_writer_close(sqlite_driver *d)
{
    bool is_in_order = d->writer.db && d->is_claimed && d->watch.db.inode &&
                       file_watch_check(&d->watch, d->writer.db, false, NULL) == EX_OK &&
                       is_ours(d) && log_epoch_end(&d->writer);
    if (is_in_order) { /* also where another process has the file open: then closing copies nothing
                        */
        (void)sqlite3_wal_checkpoint_v2(d->writer.db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        keep_wal(d, false);
    }
    sqlite_conn_close(&d->writer);
    log_trace_close(&d->trace, d->path, is_in_order); /* behind the last change of the file */
}

/* ---- Files that are taken away ---- */

static ex_status check_files(void *impl, ex_error *err)
{
    sqlite_driver *d = impl;
    if (!d->writer.db && !d->watch.why.status) /* a begin that failed has closed it */
        return ex_file_mark_check(d->path, &d->mark, NULL, err);
    return file_watch_check(&d->watch, d->writer.db, d->batch_pages > 0, err);
}

static ex_status peek_at_files(const void *impl, ex_error *err)
{
    const sqlite_driver *d = impl;
    return ex_file_mark_check(d->path, &d->mark, NULL, err);
}

const store_files_ops sqlite_files = {.check = check_files, .peek = peek_at_files};

/* ---- Beginning and ending a batch ---- */

static ex_status run_plain(sqlite_driver *d, statement which, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(&d->writer, which, &st, err);
    return status ? status : sqlite_conn_run(&d->writer, st, err);
}

ex_status sqlite_read_head(sqlite_conn *c, store_head *ret, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_HEAD, &st, err);
    if (status)
        return status;
    int rc = sqlite3_step(st);
    store_head head = {0};
    if (rc == SQLITE_ROW) {
        head.position = column_u64(st, 0);
        head.recorded_at_us = sqlite3_column_int64(st, 1);
    } else if (rc != SQLITE_DONE) {
        status = sqlite_conn_raise(c, rc, "cannot read the end of the log", err);
    }
    if (status == EX_OK)
        *ret = head;
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

static ex_status begin_once(sqlite_driver *d, store_head *ret, ex_error *err)
{
    if (!d->writer.db)
        return ex_raise(err, EX_ESTORAGE, "the database is not open");
    ex_status st = sqlite_fate_settle(d, err);
    if (st == EX_OK)
        st = run_plain(d, STATEMENT_BEGIN, err);
    if (st == EX_OK)
        st = sqlite_read_head(&d->writer, ret, err);
    if (st == EX_OK)
        d->head = ret->position;
    return st;
}

static void forget(sqlite_driver *d)
{
    stream_tails_clear(&d->tails);
    ex_map_done(&d->types.map, NULL);
    ex_map_done(&d->tags.map, NULL);
    ex_map_init(&d->types.map, TYPE_NAMES_LIMIT);
    ex_map_init(&d->tags.map, TAG_NAMES_LIMIT);
    d->oldest_command_us = INT64_MIN;
}

ex_status sqlite_writer_begin(void *impl, store_head *ret, ex_error *err)
{
    sqlite_driver *d = impl;
    d->has_written = false;
    d->position = 0;
    d->adopted = (ex_id){0};
    d->batch_pages = 0;
    ex_status st = begin_once(d, ret, NULL);
    if (st) {
        /* a connection can be beyond repair after an I/O error; a new one tells what is on the
         * disk */
        forget(d);
        sqlite_conn_close(&d->writer);
        st = sqlite_writer_open(d, false, err);
        st = st ? st : begin_once(d, ret, err);
    }
    if (st)
        return st;
    d->written = (sqlite_written){.base = ret->position};
    ret->fate = d->fate;
    d->fate = STORE_FATE_NONE;
    return EX_OK;
}

/* The file's format number written over itself: a page for the WAL, and so an fsync. */
ex_status sqlite_writer_probe(void *impl, ex_error *err)
{
    sqlite_driver *d = impl;
    char sql[64];
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", SCHEMA_VERSION); /* always fits */
    return sqlite_conn_exec(&d->writer, sql, err);
}

ex_status sqlite_writer_adopt(void *impl, const store_epochs *epochs, ex_error *err)
{
    sqlite_driver *d = impl;
    d->has_written = true;
    d->adopted = epochs->log_id;
    return log_epoch_adopt(&d->writer, epochs, err);
}

ex_status sqlite_writer_commit(void *impl, ex_error *err)
{
    sqlite_driver *d = impl;
    uint64_t position = d->position;
    ex_status st = run_plain(d, STATEMENT_COMMIT, err);
    if (st)
        st = sqlite_fate_of_commit(d, st, err);
    if (st == EX_OK && !ex_id_is_nil(&d->adopted))
        log_trace_begin(&d->trace, &d->adopted, position ? position : d->head);
    else if (st == EX_OK && position)
        log_trace_note(&d->trace, position);
    return st;
}

void sqlite_writer_rollback(void *impl)
{
    sqlite_driver *d = impl;
    if (d->writer.db && !sqlite3_get_autocommit(d->writer.db))
        (void)run_plain(d, STATEMENT_ROLLBACK, NULL); /* begin finds out whether it worked */
    if (d->has_written)
        forget(d);
    d->has_written = false;
}

void sqlite_writer_maintain(void *impl)
{
    sqlite_driver *d = impl;
    if (d->writer.db && !d->watch.why.status)
        checkpointer_turn(&d->checkpoints, d->writer.db);
}

/* ---- Writing ---- */

static ex_status insert_name(sqlite_driver *d, statement which, ex_slice name, uint64_t *ret_id,
                             ex_error *err)
{
    sqlite_conn *c = &d->writer;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, which, &st, err);
    if (status)
        return status;
    int rc = bind_text(st, 1, name);
    if (rc != SQLITE_OK)
        return sqlite_conn_raise(c, rc, "cannot bind a name", err);
    status = sqlite_conn_run(c, st, err);
    if (status == EX_OK)
        *ret_id = (uint64_t)sqlite3_last_insert_rowid(c->db);
    return status;
}

static void remember_name(name_ids *names, ex_slice name, uint64_t id)
{
    if (names->map.count == names->map.limit) {
        size_t limit = names->map.limit;
        ex_map_done(&names->map, NULL);
        ex_map_init(&names->map, limit);
    }
    if (ex_map_put(&names->map, name, (void *)(uintptr_t)id, NULL) != EX_OK)
        return; /* costs a look-up the next time, nothing else */
}

static ex_status intern(sqlite_driver *d, name_ids *names, ex_slice name, uint64_t *ret_id,
                        ex_error *err)
{
    uint64_t id = (uint64_t)(uintptr_t)ex_map_get(&names->map, name);
    ex_status st = EX_OK;
    if (!id) {
        st = sqlite_lists_find_id(&d->writer, names->find, name, &id, err);
        if (st == EX_OK && !id)
            st = insert_name(d, names->insert, name, &id, err);
        if (st == EX_OK)
            remember_name(names, name, id);
    }
    if (st == EX_OK)
        *ret_id = id;
    return st;
}

static ex_status insert_tags(sqlite_driver *d, const ex_event *event, ex_error *err)
{
    sqlite_conn *c = &d->writer;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_EVENT_TAG_INSERT, &st, err);
    size_t at = 0;
    ex_slice tag;
    while (status == EX_OK && ex_tags_next(event->tags, &at, &tag)) {
        uint64_t tag_id;
        status = intern(d, &d->tags, tag, &tag_id, err);
        if (status)
            break;
        int rc = bind_u64(st, 1, tag_id);
        if (rc == SQLITE_OK)
            rc = bind_u64(st, 2, event->position);
        status = rc == SQLITE_OK ? sqlite_conn_run(c, st, err)
                                 : sqlite_conn_raise(c, rc, "cannot bind a tag", err);
    }
    return status;
}

/* Events that are linked into their streams and not written yet. A statement for many rows costs a
 * third less for each: it opens the table and its indexes once, and stays where it wrote last. */
typedef struct pending_rows {
    event_row rows[EVENT_ROWS];
    int count;
} pending_rows;

static ex_status insert_rows(sqlite_driver *d, const event_row *rows, int count, ex_error *err)
{
    statement which = count == 1 ? STATEMENT_EVENT_INSERT : STATEMENT_EVENTS_INSERT;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(&d->writer, which, &st, err);
    for (int i = 0; status == EX_OK && i < count; i++)
        status = event_row_bind(&d->writer, st, i, &rows[i], err);
    return status ? status : sqlite_conn_run(&d->writer, st, err);
}

static ex_status insert_pending(sqlite_driver *d, pending_rows *p, ex_error *err)
{
    ex_status status = EX_OK;
    if (p->count == EVENT_ROWS)
        status = insert_rows(d, p->rows, p->count, err);
    else
        for (int i = 0; status == EX_OK && i < p->count; i++)
            status = insert_rows(d, &p->rows[i], 1, err);
    p->count = 0;
    return status;
}

static bool has_stream(const pending_rows *p, uint64_t stream_id)
{
    for (int i = 0; i < p->count; i++)
        if (p->rows[i].stream_id == stream_id)
            return true;
    return false;
}

static ex_status add_event(sqlite_driver *d, pending_rows *p, const ex_event *event,
                           store_stream *stream, ex_error *err)
{
    event_row row = {.event = event};
    ex_status status = intern(d, &d->types, event->type, &row.type_id, err);
    if (status == EX_OK && stream->id == 0)
        status = insert_name(d, STATEMENT_STREAM_INSERT, stream->name, &stream->id, err);
    row.stream_id = stream->id;
    /* the event that is to be read may be among the pending ones */
    if (status == EX_OK && stream_tails_reads(&d->tails, stream->id, event->version) &&
        has_stream(p, stream->id))
        status = insert_pending(d, p, err);
    if (status == EX_OK)
        status = stream_tails_link(&d->tails, &d->writer, stream->id,
                                   (chain_place){event->version, event->position}, &row.back, err);
    if (status == EX_OK && event->tags.packed.len)
        status = insert_tags(d, event, err);
    if (status)
        return status;
    p->rows[p->count++] = row;
    return p->count == EVENT_ROWS ? insert_pending(d, p, err) : EX_OK;
}

static ex_status insert_events(sqlite_driver *d, const store_write *w, ex_error *err)
{
    pending_rows pending = {.count = 0};
    ex_status status = EX_OK;
    for (uint32_t i = 0; status == EX_OK && i < w->event_count; i++)
        status = add_event(d, &pending, &w->events[i], w->streams[i], err);
    return status ? status : insert_pending(d, &pending, err);
}

static ex_status insert_command(sqlite_driver *d, const ex_command_record *r, ex_error *err)
{
    sqlite_conn *c = &d->writer;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_COMMAND_INSERT, &st, err);
    if (status)
        return status;
    int rc = bind_text(st, 1, r->command_id);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, r->fingerprint);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(st, 3, r->recorded_at_us);
    if (rc == SQLITE_OK)
        rc = bind_blob(st, 4, r->outcome);
    return rc == SQLITE_OK ? sqlite_conn_run(c, st, err)
                           : sqlite_conn_raise(c, rc, "cannot bind a command", err);
}

/* Runs an INSERT that answers with the id of its row. */
static ex_status run_returning(sqlite_conn *c, sqlite3_stmt *st, uint64_t *ret_id, ex_error *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *ret_id = column_u64(st, 0);
        rc = sqlite3_step(st);
    }
    ex_status status =
        rc == SQLITE_DONE ? EX_OK : sqlite_conn_raise(c, rc, "cannot write the log", err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

static ex_status insert_audit(sqlite_driver *d, store_audit *a, ex_error *err)
{
    sqlite_conn *c = &d->writer;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_AUDIT_INSERT, &st, err);
    if (status)
        return status;
    int rc = 0; /* SQLITE_OK is 0: any failure shows in the union of the bits */
    rc |= event_row_bind_id(st, 5, &a->given->id);
    rc |= bind_u64(st, 1, a->stored_position);
    rc |= bind_u64(st, 2, a->stored_fingerprint);
    rc |= bind_u64(st, 3, a->given_fingerprint);
    rc |= bind_text(st, 4, a->given->stream);
    rc |= bind_text(st, 6, a->given->type);
    rc |= bind_u64(st, 7, a->given->schema_version);
    rc |= bind_text(st, 8, a->given->content_type);
    rc |= bind_blob(st, 9, a->data);
    rc |= a->actor.len ? bind_text(st, 10, a->actor) : sqlite3_bind_null(st, 10);
    rc |= sqlite3_bind_int64(st, 11, a->recorded_at_us);
    return rc == SQLITE_OK
               ? run_returning(c, st, &a->id, err)
               : sqlite_conn_raise(c, sqlite3_errcode(c->db), "cannot bind an audit", err);
}

static ex_status trim_audits(sqlite_driver *d, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(&d->writer, STATEMENT_AUDIT_TRIM, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, STORE_AUDITS);
    return rc == SQLITE_OK ? sqlite_conn_run(&d->writer, st, err)
                           : sqlite_conn_raise(&d->writer, rc, "cannot bind a number", err);
}

ex_status sqlite_writer_write(void *impl, const store_write *w, ex_error *err)
{
    sqlite_driver *d = impl;
    d->has_written = true;
    if (w->event_count)
        d->position = w->events[w->event_count - 1].position;
    sqlite_note_written(&d->written, w);
    ex_status status = insert_events(d, w, err);
    for (uint32_t i = 0; status == EX_OK && i < w->event_count; i++)
        status = stream_tails_store(&d->tails, &d->writer, w->streams[i]->id, err);
    for (uint32_t i = 0; status == EX_OK && i < w->command_count; i++)
        status = insert_command(d, &w->commands[i], err);
    for (uint32_t i = 0; status == EX_OK && i < w->audit_count; i++)
        status = insert_audit(d, &w->audits[i], err);
    return status || !w->audit_count ? status : trim_audits(d, err);
}

/* ---- Forgetting old commands ---- */

static ex_status oldest_command(sqlite_conn *c, uint64_t *ret_seq, int64_t *ret_at, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_COMMAND_OLDEST, &st, err);
    if (status)
        return status;
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        *ret_seq = column_u64(st, 0);
        *ret_at = sqlite3_column_int64(st, 1);
    } else if (rc == SQLITE_DONE) {
        *ret_at = INT64_MAX;
    } else {
        status = sqlite_conn_raise(c, rc, "cannot read the commands", err);
    }
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

ex_status sqlite_writer_keep_time(void *impl, int64_t seen_us, store_seen_time *ret, ex_error *err)
{
    sqlite_driver *d = impl;
    ex_status status = EX_OK;
    if (d->oldest_command_us == INT64_MIN) {
        uint64_t seq = 0;
        int64_t at = 0;
        status = oldest_command(&d->writer, &seq, &at, err);
        d->oldest_command_us = status || at == INT64_MAX ? INT64_MIN : at;
    }
    if (status == EX_OK && seen_us > d->trace.seen_us)
        log_trace_note_seen(&d->trace, seen_us);
    *ret = (store_seen_time){d->trace.seen_us, d->oldest_command_us};
    return status;
}

ex_status sqlite_writer_expire_commands(void *impl, int64_t before_us, uint32_t limit,
                                        ex_error *err)
{
    sqlite_driver *d = impl;
    sqlite_conn *c = &d->writer;
    ex_status status = EX_OK;
    for (uint32_t i = 0; status == EX_OK && i < limit && d->oldest_command_us < before_us; i++) {
        uint64_t seq = 0;
        int64_t at = 0;
        status = oldest_command(c, &seq, &at, err);
        sqlite3_stmt *st;
        if (status == EX_OK && at < before_us) {
            d->has_written = true;
            status = sqlite_conn_statement(c, STATEMENT_COMMAND_DELETE, &st, err);
            if (status == EX_OK && bind_u64(st, 1, seq) == SQLITE_OK)
                status = sqlite_conn_run(c, st, err);
        } else if (status == EX_OK) {
            d->oldest_command_us = at == INT64_MAX ? INT64_MIN : at;
            break;
        }
    }
    return status;
}
