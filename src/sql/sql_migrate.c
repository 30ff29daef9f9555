/* sql_migrate.c: see sql_migrate.h. Every round takes the lock, reads what is applied, checks it,
 * and applies the next one; so whoever waited for the lock sees what the other did. */
#include "sql/sql_migrate.h"

#include "kernel/fingerprint.h"

#include <stdio.h>

#define CHECKSUM_SIZE 17

static const char *text_of(const ex_sql *db, const ex_sql_migration *m)
{
    return ex_sql_engine_of(db) == EX_SQL_POSTGRES && m->postgres ? m->postgres : m->sqlite;
}

static void checksum_of(const ex_sql *db, const ex_sql_migration *m, char ret[CHECKSUM_SIZE])
{
    uint64_t sum = ex_fingerprint(EX_FINGERPRINT_START, ex_str(text_of(db, m)));
    (void)snprintf(ret, CHECKSUM_SIZE, "%016llx", (unsigned long long)sum); /* fits */
}

/* Is there a first row with a number other than 0? */
static ex_status ask(ex_sql *db, const char *sql, bool *ret, ex_error *err)
{
    ex_sql_stmt *s = NULL;
    ex_status st = ex_sql_prepare(db, ex_str(sql), &s, err);
    st = st ? st : ex_sql_step(s, err);
    if (st && st != EX_EEND)
        return st;
    *ret = st == EX_OK && ex_sql_i64(s, 0) != 0;
    ex_sql_reset(s);
    return EX_OK;
}

ex_status ex_sql_migrate_lock(ex_sql *db, ex_error *err)
{
    bool is_locked;
    if (ex_sql_engine_of(db) == EX_SQL_SQLITE)
        return EX_OK; /* BEGIN IMMEDIATE has the write lock */
    /* one lock for each database and schema; current_schema() is null while it does not exist */
    return ask(db,
               "SELECT 1 FROM (SELECT pg_advisory_xact_lock(hashtextextended("
               "'excore_migrations ' || current_setting('search_path'), 0))) AS l",
               &is_locked, err);
}

static ex_status create_table(ex_sql *db, ex_error *err)
{
    if (ex_sql_engine_of(db) == EX_SQL_SQLITE)
        return ex_sql_script(
            db,
            "CREATE TABLE excore_migrations (version INTEGER PRIMARY KEY,"
            " name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at INTEGER NOT NULL)"
            " STRICT",
            err);
    bool has_schema;
    /* asked first: IF NOT EXISTS needs the grant even when it exists */
    ex_status st = ask(db,
                       "SELECT count(*) FROM pg_namespace"
                       " WHERE nspname = trim(current_setting('search_path'), '\"')",
                       &has_schema, err);
    if (!st && !has_schema)
        st = ex_sql_script(
            db, "DO $$BEGIN EXECUTE 'CREATE SCHEMA ' || current_setting('search_path'); END$$",
            err);
    if (!st && has_schema) /* a role that may not use it is told so by the server */
        st = ex_sql_script(db,
                           "DO $$BEGIN IF current_schema() IS NULL THEN EXECUTE 'SELECT 1 FROM ' ||"
                           " current_setting('search_path') || '.excore_migrations'; END IF; END$$",
                           err);
    return st ? st
              : ex_sql_script(
                    db,
                    "CREATE TABLE excore_migrations (version BIGINT PRIMARY KEY,"
                    " name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)",
                    err);
}

/* ---- what is applied ---- */

static ex_status check_applied(ex_sql *db, const ex_sql_migrations *m, uint32_t index,
                               ex_sql_stmt *s, ex_error *err)
{
    char checksum[CHECKSUM_SIZE];
    int64_t version = ex_sql_i64(s, 0);
    ex_slice name = ex_sql_bytes(s, 1);
    if (index == m->count)
        return ex_raise(
            err, EX_EFORMAT,
            "the database has migration %lld '%.*s', which this program does not know: it "
            "was written by a newer version of excore",
            (long long)version, EX_ARG(name));
    const ex_sql_migration *want = &m->list[index];
    if (version != want->version)
        return ex_raise(err, EX_EFORMAT,
                        "the database lacks migration %u '%s' and has the later %lld",
                        want->version, want->name, (long long)version);
    checksum_of(db, want, checksum);
    if (!ex_slice_is(ex_sql_bytes(s, 2), checksum))
        return ex_raise(err, EX_EFORMAT,
                        "migration %u '%s' is not the one that the database was changed by",
                        want->version, want->name);
    return EX_OK;
}

/* Check the applied ones against the list; *ret is how many there are. */
static ex_status read_applied(ex_sql *db, const ex_sql_migrations *m, uint32_t *ret, ex_error *err)
{
    ex_sql_stmt *s = NULL;
    uint32_t count = 0;
    ex_status st = ex_sql_prepare(
        db, EX_S("SELECT version, name, checksum FROM excore_migrations ORDER BY version"), &s,
        err);
    if (st)
        return st;
    while ((st = ex_sql_step(s, err)) == EX_OK) {
        st = check_applied(db, m, count, s, err);
        if (st)
            break;
        count++;
    }
    ex_sql_reset(s);
    if (st != EX_EEND)
        return st;
    *ret = count;
    return EX_OK;
}

static ex_status check_list(const ex_sql_migrations *m, ex_error *err)
{
    for (uint32_t i = 1; i < m->count; i++) {
        if (m->list[i].version != m->list[i - 1].version + 1)
            return ex_raise(err, EX_EFORMAT, "there is a gap between migrations %u and %u",
                            m->list[i - 1].version, m->list[i].version);
    }
    return EX_OK;
}

/* ---- applying ---- */

static ex_status record(ex_sql *db, const ex_sql_migrations *m, const ex_sql_migration *one,
                        ex_error *err)
{
    char checksum[CHECKSUM_SIZE];
    ex_sql_stmt *s = NULL;
    ex_status st =
        ex_sql_prepare(db, EX_S("INSERT INTO excore_migrations VALUES ($1, $2, $3, $4)"), &s, err);
    if (st)
        return st;
    checksum_of(db, one, checksum);
    ex_sql_bind_i64(s, 1, one->version);
    ex_sql_bind_text(s, 2, ex_str(one->name));
    ex_sql_bind_text(s, 3, ex_str(checksum));
    ex_sql_bind_i64(s, 4, ex_now_us(m->clock));
    return ex_sql_run(s, err);
}

typedef struct step_ctx {
    const ex_sql_migrations *m;
    const ex_sql_migration *applied; /* NULL: there was nothing left */
} step_ctx;

static ex_status apply_next(ex_sql *db, void *ctx, ex_error *err)
{
    step_ctx *c = ctx;
    bool is_there = false;
    uint32_t done = 0;
    ex_status st = ex_sql_migrate_lock(db, err);
    st = st ? st : ex_sql_has_table(db, EX_SQL_MIGRATIONS_TABLE, &is_there, err);
    if (!st)
        st = is_there ? read_applied(db, c->m, &done, err) : create_table(db, err);
    if (st || done == c->m->count)
        return st;
    const ex_sql_migration *one = &c->m->list[done];
    st = ex_sql_script(db, text_of(db, one), err);
    if (st)
        return ex_error_context(err, st, "migration %u '%s'", one->version, one->name);
    c->applied = one;
    return record(db, c->m, one, err);
}

ex_status ex_sql_migrate(ex_sql *db, const ex_sql_migrations *m, ex_error *err)
{
    ex_status st = check_list(m, err);
    while (!st) {
        step_ctx c = {.m = m};
        st = ex_sql_transact(db, EX_SQL_WRITE, apply_next, &c, err);
        if (st || !c.applied)
            break;
        if (m->on_applied)
            m->on_applied(m->ctx, c.applied);
    }
    return st;
}

ex_status ex_sql_migrations_missing(ex_sql *db, const ex_sql_migrations *m, uint32_t *ret,
                                    ex_error *err)
{
    bool is_there = false;
    uint32_t done = 0;
    ex_status st = check_list(m, err);
    st = st ? st : ex_sql_has_table(db, EX_SQL_MIGRATIONS_TABLE, &is_there, err);
    if (!st && is_there)
        st = read_applied(db, m, &done, err);
    if (!st)
        *ret = m->count - done;
    return st;
}
