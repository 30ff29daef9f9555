/* wal_proof.c: see wal_proof.h. */
#include "store/sqlite/wal_proof.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/sqlite/log_epoch.h"
#include "store/sqlite/log_trace.h"
#include "store/sqlite/schema.h"

#define SMALL_CACHE_BYTES (64u << 10)

/* ---- Files ---- */

/* "DIR/NAME" beside the log. */
static void beside(const char *log_path, const char *name, char ret[PATH_MAX])
{
    const char *slash = strrchr(log_path, '/'); /* the path is absolute */
    int dir = (int)(slash - log_path);
    (void)snprintf(ret, PATH_MAX, "%.*s/%s", dir, log_path, name); /* far below: SQLite's limit */
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static bool has_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && st.st_size > 0;
}

void wal_proof_look(const char *log_path, wal_proof *ret)
{
    char wal[PATH_MAX], shm[PATH_MAX];
    beside(log_path, STORE_LOG_FILE "-wal", wal);
    beside(log_path, STORE_LOG_FILE "-shm", shm);
    ret->has_lost_wal = is_there(shm) && !is_there(wal);
    ret->has_log = has_bytes(log_path);
    ret->has_wal = has_bytes(wal);
}

char *wal_proof_alone_uri(const char *log_path)
{
    static const char prefix[] = "file:", suffix[] = "?immutable=1", hex[] = "0123456789ABCDEF";
    char *uri = malloc(sizeof(prefix) + 3 * strlen(log_path) + sizeof(suffix));
    if (!uri)
        return NULL;
    memcpy(uri, prefix, sizeof(prefix) - 1);
    char *out = uri + sizeof(prefix) - 1;
    for (const char *in = log_path; *in; in++) {
        if (*in == '?' || *in == '#' || *in == '%') {
            *out++ = '%';
            *out++ = hex[(unsigned char)*in >> 4];
            *out++ = hex[(unsigned char)*in & 15];
        } else {
            *out++ = *in;
        }
    }
    memcpy(out, suffix, sizeof(suffix));
    return uri;
}

/* ---- What another log has left ---- */

/* Those that tell come first: the others go aside with them. */
static const char *const remains[] = {
    STORE_LOG_FILE "-wal", LOG_TRACE_FILE, "views.db",     STORE_LOG_FILE "-shm",
    "views.db-wal",        "views.db-shm", STORE_LOG_FILE,
};
#define TELLING 3

ex_status wal_proof_check_remains(const char *log_path, ex_error *err)
{
    char path[PATH_MAX], found[128] = "";
    size_t at = 0;
    for (size_t i = 0; i < TELLING; i++) {
        beside(log_path, remains[i], path);
        if (has_bytes(path))
            at += (size_t)snprintf(found + at, sizeof(found) - at, "%s%s", at ? ", " : "",
                                   remains[i]); /* fits: three names of ours */
    }
    if (!found[0])
        return EX_OK;
    return ex_raise(err, EX_EPRECONDITION,
                    "'%s' is missing or empty, but there was a log here (%s): bring it back; a new "
                    "log is made in another directory, or here when it is asked for ('serve "
                    "--new-log', new_log)",
                    log_path, found);
}

ex_status wal_proof_set_aside(const char *log_path, bool only_wal, ex_error *err)
{
    char path[PATH_MAX], old[PATH_MAX];
    size_t count = only_wal ? 1 : sizeof(remains) / sizeof(remains[0]);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s.old", remains[i]); /* fits */
        beside(log_path, remains[i], path);
        beside(log_path, name, old);
        if (rename(path, old) != 0 && errno != ENOENT)
            return ex_raise(err, EX_EFILESYSTEM, "'%s' could not be set aside: %s", path,
                            strerror(errno));
    }
    return EX_OK;
}

/* ---- Whether they belong together ---- */

static const char head_sql[] = "SELECT ifnull(max(position), 0) FROM events";

/* A file of a format that has no mark counts as open when its WAL was there. */
static ex_status read_mark(sqlite_conn *c, const wal_proof *seen, int64_t *ret, ex_error *err)
{
    int64_t has_identity = 0;
    *ret = 0;
    ex_status st = sqlite_conn_number(
        c, "SELECT count(*) FROM sqlite_schema WHERE name = 'log_identity'", &has_identity, err);
    if (st)
        return st;
    if (!has_identity) {
        *ret = seen->has_lost_wal ? WAL_PROOF_OPEN : 0;
        return EX_OK;
    }
    return sqlite_conn_number(c, "SELECT ifnull(max(is_open), 0) FROM log_identity", ret, err);
}

static ex_status raise_missing(const char *log_path, ex_error *err)
{
    return ex_raise(err, EX_ECORRUPT,
                    "'%s' was in use when it was copied, or has lost its WAL: what was appended "
                    "last is in %s-wal, which is missing. Bring that file from where this one came "
                    "from, or copy the store with 'excore copy'. To go on without what is missing: "
                    "'migrate --without-wal' (without_wal)",
                    log_path, STORE_LOG_FILE);
}

static ex_status raise_foreign(const char *log_path, ex_error *err)
{
    return ex_raise(err, EX_ECORRUPT,
                    "'%s-wal' belongs to another %s: this one was closed in order and has no WAL. "
                    "Put back the file that the WAL belongs to, or set the WAL aside: 'migrate "
                    "--without-wal' (without_wal)",
                    log_path, STORE_LOG_FILE);
}

/* A file without tables is new, or was cut when it had never been checkpointed: SQLite's mark of
 * a WAL stands in its header. We make the tables before there is a WAL. */
static ex_status check_empty(sqlite_conn *c, const char *log_path, const wal_proof *seen,
                             ex_error *err)
{
    int64_t tables = 0;
    sqlite3_stmt *st = NULL;
    ex_status status = sqlite_conn_number(c, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (status || tables || !seen->has_log || seen->has_wal)
        return status;
    bool is_wal = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode", -1, &st, NULL) == SQLITE_OK &&
                  sqlite3_step(st) == SQLITE_ROW && ex_slice_is(column_bytes(st, 0), "wal");
    (void)sqlite3_finalize(st); /* what fails here fails again, and is reported then */
    return is_wal ? raise_missing(log_path, err) : EX_OK;
}

/* Somebody has folded the WAL in (a killed server's, with the sqlite3 shell): the trace knows the
 * end. */
static ex_status has_all(sqlite_conn *c, const char *log_path, bool *ret, ex_error *err)
{
    log_trace_was was;
    store_epochs e;
    ex_arena arena;
    int64_t head = 0;
    log_trace_peek(log_path, &was);
    ex_arena_init(&arena, 0);
    ex_status st = log_epoch_read(c, &arena, &e, err);
    if (st == EX_OK)
        st = sqlite_conn_number(c, head_sql, &head, err);
    *ret = st == EX_OK && was.is_there && ex_id_eq(&was.log_id, &e.log_id) &&
           was.head == (uint64_t)head;
    ex_arena_done(&arena);
    return st;
}

/* A writer that closes the log takes its mark away, then the WAL: whoever looks meanwhile has seen
 * a WAL that is gone, but a second look sees no mark either. */
static ex_status check_missing(sqlite_conn *c, const char *log_path, const wal_proof *seen,
                               ex_error *err)
{
    wal_proof now;
    int64_t mark = 0;
    for (int i = 0; i < 3; i++) {
        ex_status st = read_mark(c, seen, &mark, err);
        if (st || !(mark & WAL_PROOF_OPEN))
            return st;
        wal_proof_look(log_path, &now);
        if (now.has_wal)
            return EX_OK;
    }
    bool is_whole = false;
    ex_status st = has_all(c, log_path, &is_whole, err);
    return st || is_whole ? st : raise_missing(log_path, err);
}

static ex_status read_log_id(sqlite_conn *c, ex_id *ret, ex_error *err)
{
    ex_arena arena;
    store_epochs e;
    ex_arena_init(&arena, 0);
    ex_status st = log_epoch_read(c, &arena, &e, err);
    *ret = e.log_id;
    ex_arena_done(&arena);
    return st;
}

static ex_status read_alone(sqlite_conn *c, wal_proof_alone *ret, ex_error *err)
{
    int64_t tables = 0, head = 0;
    ex_status st = sqlite_conn_number(
        c, "SELECT count(*) FROM sqlite_schema WHERE name = 'log_identity'", &tables, err);
    if (st || !tables)
        return st;
    st = read_mark(c, &(wal_proof){0}, &ret->mark, err);
    if (st == EX_OK)
        st = read_log_id(c, &ret->log_id, err);
    if (st == EX_OK)
        st = sqlite_conn_number(c, head_sql, &head, err);
    ret->head = (uint64_t)head;
    ret->is_known = st == EX_OK;
    return st;
}

void wal_proof_look_alone(const char *log_path, const char *vfs, wal_proof_alone *ret)
{
    sqlite_conn c;
    *ret = (wal_proof_alone){0};
    char *uri = wal_proof_alone_uri(log_path);
    sqlite_conn_options options = {uri, vfs, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI,
                                   SMALL_CACHE_BYTES};
    if (uri && sqlite_conn_open(&c, &options, NULL) == EX_OK) {
        (void)read_alone(&c, ret, NULL); /* then it is not known */
        sqlite_conn_close(&c);
    }
    free(uri);
}

bool wal_proof_is_ours(const char *log_path, const char *vfs, const wal_proof_alone *then,
                       const ex_id *log_id)
{
    wal_proof_alone now;
    wal_proof_look_alone(log_path, vfs, &now);
    if (!then->is_known || !now.is_known)
        return true;
    bool is_same_log = ex_id_eq(&now.log_id, &then->log_id) || ex_id_eq(&now.log_id, log_id);
    return is_same_log && now.head >= then->head;
}

/* The file alone says that it was closed: then the WAL has no event that it has not. */
static ex_status check_foreign(sqlite_conn *c, const char *log_path, const char *vfs, ex_error *err)
{
    wal_proof_alone a;
    int64_t head = 0;
    /* cut off in the middle of a checkpoint it need not be readable without its WAL */
    wal_proof_look_alone(log_path, vfs, &a);
    if (!a.is_known || a.mark & WAL_PROOF_OPEN)
        return EX_OK;
    ex_status st = sqlite_conn_number(c, head_sql, &head, err);
    if (st == EX_ECORRUPT || (st == EX_OK && (uint64_t)head != a.head))
        return raise_foreign(log_path, err);
    return st;
}

ex_status wal_proof_check(sqlite_conn *c, const char *log_path, const char *vfs,
                          const wal_proof *seen, bool without_wal, ex_error *err)
{
    if (seen->has_wal)
        return check_foreign(c, log_path, vfs, err);
    if (without_wal)
        return EX_OK;
    ex_status st = check_empty(c, log_path, seen, err);
    return st ? st : check_missing(c, log_path, seen, err);
}
