/* log_epoch.c: is the log behind a new connection still the one that this node knows?
 *
 * A server that crashed with synchronous_commit off, a failover to a standby that
 * lacked the end, a backup restored under running nodes: each gives positions that
 * somebody knows to other events, and ids of names to other names. Each also ends
 * the sessions that were there, or makes the tables anew. So every session proves
 * the log before it is used for anything else, and no later statement needs more
 * than two numbers that come with the head anyway: the epoch and the table's oid.
 *
 * The witness is a row in an unlogged table. PostgreSQL empties such a table when
 * it recovers from a crash, and a standby that is promoted has it empty. The row
 * names the cluster, the database and the table; so a dump that is loaded brings
 * along a witness that speaks for another place. It also names the time at which
 * the server was started: the files of a server that was stopped, started
 * elsewhere or put back, are the same in all else.
 *
 *   evidence                                        epoch       begins
 *   ----------------------------------------------  ----------  ------------------
 *   no witness                                      recovered   after the end
 *   the witness of another place                    replaced    after the end
 *   the end is before what this node knows, and no  lost_end    after the end
 *   epoch says so
 *   the witness of an earlier start of the server   restarted   after the end
 *   another event where this node knows one, and    lost_end    at 1: nobody can
 *   no epoch says so                                            say since when
 *
 * Looking takes one round trip and no lock. Only when something is found, the head
 * is locked, all of it is looked at again, and epoch, head and witness are written
 * in one transaction that is synced whatever the durability. Every writer proves
 * the log before it writes, so nobody sees an event of an epoch before the epoch.
 *
 * Possible failure modes: the transaction fails, or its fate is not known. Then the
 * session is not proven, and the next one looks again: it finds either the same
 * evidence or the epoch. Nodes that come at the same time find the epoch of the
 * first. A log with another id than before is refused for good: it is another
 * store, and nothing of what this node knows is true there. */
#include <excore/clock.h>

#include <stdlib.h>

#include "store/postgres/lists.h"
#include "store/postgres/postgres_driver.h"

/** What looking has found. */
typedef struct finding {
    uint64_t position; /* the end of the log */
    uint64_t number;   /* of the last epoch */
    int64_t table;     /* oid of log_head */
    ex_id log_id;
    bool has_witness, is_witness_ours, is_same_start;
    bool has_end; /* the last event that this node knows is there, or it knows none */
    /* what follows from it */
    ex_epoch_reason reason; /* EX_EPOCH_UNKNOWN: no epoch is needed */
    uint64_t first;
} finding;

/* ---- Looking ---- */

static ex_id id_of(const ex_pg_result *r, int row, int column)
{
    ex_id id = {.form = EX_ID_UUID};
    ex_slice bytes = ex_pg_get_slice(r, row, column);
    if (bytes.len == sizeof(id.bytes))
        memcpy(id.bytes, bytes.ptr, sizeof(id.bytes));
    return id;
}

static ex_status send_questions(postgres_driver *d, ex_error *err)
{
    ex_status st = pg_queue(d, PG_EPOCH_PROOF, err);
    if (st == EX_OK)
        st = pg_queue(d, PG_EPOCHS, err);
    if (st == EX_OK) {
        pg_put_events_are(&d->args, d->end.position, &d->end.event, d->end.position ? 1 : 0);
        st = pg_queue(d, PG_EVENTS_ARE, err);
    }
    return st;
}

static ex_status receive_proof(postgres_driver *d, finding *f, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK && r.rows != 1)
        st = ex_raise(err, EX_ECORRUPT, "the log of schema '%s' has no head", d->schema);
    if (st == EX_OK) {
        f->position = (uint64_t)ex_pg_get_i64(&r, 0, 0);
        f->number = (uint64_t)ex_pg_get_i64(&r, 0, 1);
        f->table = ex_pg_get_i64(&r, 0, 2);
        f->log_id = id_of(&r, 0, 3);
        f->has_witness = !ex_pg_is_null(&r, 0, 4);
        f->is_witness_ours = f->has_witness && ex_pg_get_bool(&r, 0, 4);
        f->is_same_start = f->has_witness && ex_pg_get_bool(&r, 0, 6);
    }
    ex_pg_result_free(&r);
    return st;
}

static uint32_t read_epochs(const ex_pg_result *r, ex_log_epoch *out)
{
    for (int row = 0; row < r->rows; row++) /* the newest comes first and stands last */
        out[r->rows - 1 - row] =
            (ex_log_epoch){.id = id_of(r, row, 0),
                           .first = (uint64_t)ex_pg_get_i64(r, row, 1),
                           .opened_at_us = ex_pg_get_i64(r, row, 2),
                           .reason = log_epoch_reason_of(ex_pg_get_slice(r, row, 3))};
    return (uint32_t)r->rows;
}

static ex_status receive_epochs(postgres_driver *d, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK && (r.rows == 0 || (uint32_t)r.rows > LOG_EPOCHS_KEPT))
        st = ex_raise(err, EX_ECORRUPT, "the log of schema '%s' has %d epochs", d->schema, r.rows);
    if (st == EX_OK)
        d->epochs.count = read_epochs(&r, d->epochs.list);
    ex_pg_result_free(&r);
    return st;
}

static ex_status receive_end(postgres_driver *d, finding *f, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_recv(d->writer, &r, err);
    if (st == EX_OK)
        f->has_end = d->end.position == 0 || ex_pg_get_i64(&r, 0, 0) == 1;
    ex_pg_result_free(&r);
    return st;
}

/* What this node knows to be committed. */
static uint64_t known_position(const postgres_driver *d)
{
    return d->known > d->end.position ? d->known : d->end.position;
}

bool pg_epoch_explains(const postgres_driver *d, uint64_t position)
{
    ex_log_epoch mine = log_identity_current(d->identity);
    const pg_epochs *e = &d->epochs;
    return !ex_id_is_nil(&mine.id) /* else this node has just been opened */ &&
           position >= log_epochs_bound(e->list, e->count, &mine.id);
}

static void conclude(const postgres_driver *d, finding *f)
{
    bool is_told = pg_epoch_explains(d, known_position(d));
    f->first = f->position + 1;
    f->reason = EX_EPOCH_UNKNOWN;
    if (!f->has_end && !is_told && f->position >= d->end.position) {
        f->reason = EX_EPOCH_LOST_END;
        f->first = 1;
    } else if (!f->has_witness) {
        f->reason = EX_EPOCH_RECOVERED;
    } else if (!f->is_witness_ours) {
        f->reason = EX_EPOCH_REPLACED;
    } else if (f->position < known_position(d) && !is_told) {
        f->reason = EX_EPOCH_LOST_END;
    } else if (!f->is_same_start) {
        f->reason = EX_EPOCH_RESTARTED;
    }
}

static ex_status receive_answers(postgres_driver *d, finding *f, ex_error *err)
{
    ex_status st = receive_proof(d, f, err);
    if (st == EX_OK)
        st = receive_epochs(d, err);
    if (st == EX_OK)
        st = receive_end(d, f, err);
    ex_id mine = log_identity_log_id(d->identity);
    if (st == EX_OK && !ex_id_is_nil(&mine) && !ex_id_eq(&mine, &f->log_id) &&
        !ex_id_eq(&d->epochs.adopted, &f->log_id)) {
        char id[EX_ID_TEXT_SIZE];
        (void)ex_id_text(&f->log_id, id);
        st =
            ex_raise(err, EX_ESTORAGE,
                     "another log (%s) is in the place of the one that this node knows: restart it "
                     "if that is meant",
                     id);
    }
    if (st == EX_OK)
        conclude(d, f);
    return st;
}

static ex_status look(postgres_driver *d, finding *f, ex_error *err)
{
    ex_status st = send_questions(d, err);
    if (st == EX_OK)
        st = pg_settle(d, err);
    return st ? st : receive_answers(d, f, err);
}

/* ---- Opening an epoch ---- */

/* Whoever was first has done it: the questions are put again under the lock. */
static ex_status look_locked(postgres_driver *d, finding *f, ex_error *err)
{
    ex_status st = pg_queue_write(d, PG_BEGIN, err);
    if (st == EX_OK)
        st = pg_queue_write(d, PG_SYNC_ON, err);
    if (st == EX_OK)
        st = pg_queue_write(d, PG_HEAD_LOCK, err);
    return st ? st : look(d, f, err);
}

static ex_status write_epoch(postgres_driver *d, uint64_t number, const ex_log_epoch *e,
                             ex_error *err)
{
    ex_pg_put_i64(&d->args, (int64_t)number);
    ex_pg_put_uuid(&d->args, e->id.bytes);
    ex_pg_put_i64(&d->args, (int64_t)e->first);
    ex_pg_put_i64(&d->args, e->opened_at_us);
    ex_pg_put_text(&d->args, ex_str(ex_epoch_reason_name(e->reason)));
    return pg_queue_write(d, PG_EPOCH_INSERT, err);
}

/* The head and the witness name the last epoch; the other nodes look at it soon. */
static ex_status write_last(postgres_driver *d, uint64_t number, ex_error *err)
{
    ex_pg_put_i64(&d->args, (int64_t)number);
    ex_status st = pg_queue_write(d, PG_EPOCH_HEAD, err);
    if (st == EX_OK)
        st = pg_queue_write(d, PG_EPOCH_WITNESS, err);
    if (st == EX_OK && d->has_server_start)
        st = pg_queue_write(d, PG_EPOCH_START, err);
    if (st == EX_OK) {
        ex_pg_put_text(&d->args, ex_str(d->channel));
        ex_pg_put_text(&d->args, EX_S(""));
        st = pg_queue_write(d, PG_NOTIFY, err);
    }
    return st;
}

static void keep_last(pg_epochs *e, const ex_log_epoch *epoch)
{
    if (e->count == LOG_EPOCHS_KEPT)
        memmove(e->list, e->list + 1, --e->count * sizeof(*e->list));
    e->list[e->count++] = *epoch;
}

static ex_status open_epoch(postgres_driver *d, finding *f, ex_error *err)
{
    ex_log_epoch epoch;
    ex_status st = look_locked(d, f, err);
    if (st == EX_OK && f->reason) {
        st = log_epoch_make(f->first, f->reason, &epoch, err);
        if (st == EX_OK)
            st = write_epoch(d, ++f->number, &epoch, err);
        if (st == EX_OK)
            st = write_last(d, f->number, err);
        if (st == EX_OK)
            keep_last(&d->epochs, &epoch);
    }
    if (st == EX_OK)
        st = pg_queue_write(d, PG_COMMIT, err);
    return st ? st : pg_settle(d, err);
}

/* ---- The proof ---- */

/* What was remembered goes with what is lost; names may have other ids. */
static void forget_lost(postgres_driver *d)
{
    ex_log_epoch mine = log_identity_current(d->identity);
    const pg_epochs *e = &d->epochs;
    d->left.is_known = false;
    if (ex_id_eq(&e->list[e->count - 1].id, &mine.id))
        return;
    pg_names_forget(d);
    if (pg_epoch_explains(d, d->end.position))
        d->end.position = 0;
}

ex_status pg_epoch_prove(postgres_driver *d, ex_error *err)
{
    finding f = {0};
    if (d->epochs.is_proven)
        return EX_OK;
    ex_status st = look(d, &f, err);
    if (st == EX_OK && f.reason)
        st = open_epoch(d, &f, err);
    if (st)
        return st;
    d->epochs.number = f.number;
    d->epochs.table = f.table;
    d->epochs.log_id = f.log_id;
    d->epochs.is_proven = true;
    forget_lost(d);
    return EX_OK;
}

bool pg_writer_epochs(void *impl, store_epochs *ret)
{
    const postgres_driver *d = impl;
    const pg_epochs *e = &d->epochs;
    ex_log_epoch mine = log_identity_current(d->identity);
    if (e->count == 0 || ex_id_eq(&e->list[e->count - 1].id, &mine.id))
        return false;
    *ret = (store_epochs){e->log_id, e->list, e->count};
    return true;
}

ex_status pg_writer_adopt(void *impl, const store_epochs *epochs, ex_error *err)
{
    postgres_driver *d = impl;
    uint64_t number = d->epochs.number;
    ex_status st = EX_OK;
    d->has_written = true;
    d->epochs.adopted = epochs->log_id;
    ex_pg_put_uuid(&d->args, epochs->log_id.bytes);
    st = pg_queue_write(d, PG_LOG_ID, err);
    for (uint32_t i = 0; st == EX_OK && i < epochs->count; i++)
        st = write_epoch(d, ++number, &epochs->epochs[i], err);
    if (st == EX_OK && epochs->count)
        st = write_last(d, number, err);
    d->epochs.is_proven = false; /* the next batch reads what has become of it */
    return pg_as_storage(st, err);
}

/* ---- Readers ---- */

/* In this order: the epochs of a log whose id was read are its own, or those that it got since. */
ex_status pg_epochs_ask(ex_pg *pg, ex_arena *arena, store_epochs *ret, ex_error *err)
{
    ex_pg_result r = {0};
    ex_log_epoch *list = ex_arena_array(arena, LOG_EPOCHS_KEPT, sizeof(*list));
    if (!list)
        return ex_raise(err, EX_ENOMEM, "no memory for the epochs of the log");
    ex_status st = pg_run_again(pg, PG_LOG_ID_IS, NULL, &r, err);
    if (st == EX_OK && r.rows)
        ret->log_id = id_of(&r, 0, 0);
    ex_pg_result_free(&r);
    if (st == EX_OK)
        st = pg_run_again(pg, PG_EPOCHS, NULL, &r, err);
    ret->epochs = list;
    ret->count = st == EX_OK && (uint32_t)r.rows <= LOG_EPOCHS_KEPT ? read_epochs(&r, list) : 0;
    ex_pg_result_free(&r);
    return st;
}

ex_status pg_epoch_check(void *ctx, ex_pg *pg, ex_error *err)
{
    const postgres_driver *d = ctx;
    ex_pg_result r = {0};
    bool is_standby = ex_pg_is_standby(pg); /* which has no unlogged tables, and cannot lose more */
    ex_status st =
        ex_pg_run(pg, pg_sql(is_standby ? PG_EPOCH_LAST : PG_EPOCH_PROOF), NULL, &r, err);
    if (st)
        return st;
    ex_log_epoch mine = log_identity_current(d->identity);
    ex_id last = {0};
    bool is_ours = r.rows == 1;
    if (is_ours)
        last = id_of(&r, 0, is_standby ? 0 : 5);
    is_ours = is_ours && ex_id_eq(&last, &mine.id) &&
              (is_standby ||
               (!ex_pg_is_null(&r, 0, 4) && ex_pg_get_bool(&r, 0, 4) && ex_pg_get_bool(&r, 0, 6)));
    ex_pg_result_free(&r);
    return is_ours
               ? EX_OK
               : ex_raise(err, EX_EAGAIN,
                          "the database was restarted or replaced, and this node has not looked "
                          "yet what was lost");
}
