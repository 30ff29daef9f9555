/* sqlite_driver.c: the embedded engine: DIR/events.db in WAL mode.
 *
 * One connection writes, on the sequencer's thread; readers have a read-only
 * connection each and are never blocked by it, nor it by them. */
#include "store/sqlite/sqlite_driver.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/path.h"
#include "store/sqlite/log_epoch.h"
#include "store/sqlite/schema.h"

#define PATH_LIMIT        512 /* MAX_PATHNAME of SQLite on Unix */
#define SMALL_CACHE_BYTES (64u << 10)

/* ---- Opening for reading ---- */

/* In a directory that may not be written SQLite can make no shared memory, and without that it
 * reads no WAL. Where there is none the file itself is all there is, and is read as one that nobody
 * changes; should somebody all the same, check_unchanged finds out. */
static ex_status choose_immutable(sqlite_driver *d, const store_driver_options *options,
                                  ex_error *err)
{
    struct stat st;
    if (access(options->dir, W_OK) == 0)
        return EX_OK;
    wal_proof_look(d->path, &d->seen);
    char *shm = ex_path_join(options->dir, STORE_LOG_FILE "-shm");
    if (!shm)
        return ex_raise(err, EX_ENOMEM, "no memory to open '%s'", options->shown);
    bool has_shm = access(shm, R_OK) == 0;
    free(shm);
    if (d->seen.has_wal && !has_shm)
        return ex_raise(err, EX_EREADONLY,
                        "'%s' cannot be read in a directory that may not be written: what was "
                        "appended last is in its WAL, and SQLite makes a file (-shm) to read that; "
                        "copy the directory to a place that may be written",
                        options->shown);
    if (d->seen.has_wal)
        return EX_OK;
    d->immutable_uri = wal_proof_alone_uri(d->path);
    if (!d->immutable_uri || stat(d->path, &st) != 0)
        return d->immutable_uri
                   ? ex_raise(err, EX_EFILESYSTEM, "'%s': %s", d->path, strerror(errno))
                   : ex_raise(err, EX_ENOMEM, "no memory to open '%s'", d->path);
    d->unchanged_s = st.st_mtim.tv_sec;
    d->unchanged_ns = st.st_mtim.tv_nsec;
    return EX_OK;
}

ex_status sqlite_check_unchanged(const sqlite_driver *d, ex_error *err)
{
    struct stat st;
    wal_proof now;
    if (!d->immutable_uri)
        return EX_OK;
    wal_proof_look(d->path, &now);
    if (!now.has_wal && stat(d->path, &st) == 0 && st.st_mtim.tv_sec == d->unchanged_s &&
        st.st_mtim.tv_nsec == d->unchanged_ns)
        return EX_OK;
    return ex_raise(err, EX_ESTORAGE,
                    "'%s' is being written, which cannot be followed in a directory that may not "
                    "be written by this process: open it again",
                    d->path);
}

ex_status sqlite_reader_conn(const sqlite_driver *d, uint32_t cache_bytes, sqlite_conn *ret,
                             ex_error *err)
{
    sqlite_conn_options options = {d->immutable_uri ? d->immutable_uri : d->path, d->vfs,
                                   SQLITE_OPEN_READONLY | (d->immutable_uri ? SQLITE_OPEN_URI : 0),
                                   cache_bytes};
    ex_status st = sqlite_conn_open(ret, &options, err);
    if (st)
        return st;
    st = d->mark.inode ? ex_file_mark_check(d->path, &d->mark, NULL, err) : EX_OK;
    if (st)
        sqlite_conn_close(ret);
    return st;
}

static ex_status read_identity(const sqlite_driver *d, sqlite_conn *c, ex_error *err)
{
    ex_arena arena;
    store_epochs e;
    ex_arena_init(&arena, 0);
    ex_status st = log_epoch_read(c, &arena, &e, err);
    if (st == EX_OK)
        st = log_identity_set(d->identity, &e.log_id, e.epochs, e.count, err);
    ex_arena_done(&arena);
    return st;
}

static ex_status check_format(sqlite_driver *d, const wal_proof *seen, ex_error *err)
{
    sqlite_conn c;
    ex_status st = sqlite_reader_conn(d, SMALL_CACHE_BYTES, &c, err);
    if (st)
        return st;
    st = wal_proof_check(&c, d->path, d->vfs, seen, d->without_wal, err);
    if (st == EX_OK)
        st = sqlite_schema_check(&c, d->path, false, err);
    if (st == EX_OK)
        st = read_identity(d, &c, err);
    sqlite_conn_close(&c);
    return st;
}

/* ---- Open and close ---- */

/* On the checkpointer's thread. */
static ex_status open_for_checkpoints(void *ctx, sqlite_conn *ret, ex_error *err)
{
    const sqlite_driver *d = ctx;
    sqlite_conn_options options = {d->path, d->vfs, SQLITE_OPEN_READWRITE, SMALL_CACHE_BYTES};
    ex_status st = sqlite_conn_open(ret, &options, err);
    if (st)
        return st;
    int64_t version = 0; /* reading makes it look for the WAL */
    (void)sqlite3_wal_autocheckpoint(ret->db, 0);
    st = sqlite_conn_number(ret, "PRAGMA user_version", &version, err);
    if (st == EX_OK)
        st = ex_file_mark_check(d->path, &d->mark, NULL, err);
    if (st) {
        (void)sqlite3_db_config(ret->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite_conn_close(ret);
    }
    return st;
}

static void driver_measure_wal(void *impl, store_wal *ret)
{
    checkpointer_measure(&((sqlite_driver *)impl)->checkpoints, ret);
}

static void driver_close(void *impl)
{
    sqlite_driver *d = impl;
    if (!d)
        return;
    checkpointer_done(&d->checkpoints); /* the last connection to close is the writer's */
    sqlite_writer_close(d);
    ex_wal_writes_unregister(&d->wal_writes);
    file_watch_done(&d->watch);
    ex_map_done(&d->types.map, NULL);
    ex_map_done(&d->tags.map, NULL);
    stream_tails_done(&d->tails);
    free(d->path);
    free(d->immutable_uri);
    free(d->vfs);
    free(d);
}

static ex_status fill_in(sqlite_driver *d, const store_driver_options *options, ex_error *err)
{
    d->read_only = options->read_only;
    d->durability = options->durability;
    d->page_cache_bytes = options->page_cache_bytes;
    d->without_wal = options->without_wal;
    d->identity = options->identity;
    d->trace = (log_trace)LOG_TRACE_NONE;
    d->outcome_wait_ms = options->outcome_wait_ms;
    d->path = ex_path_join(options->dir, STORE_LOG_FILE);
    d->vfs = options->sqlite_vfs ? strdup(options->sqlite_vfs) : NULL;
    if (!d->path || (options->sqlite_vfs && !d->vfs))
        return ex_raise(err, EX_ENOMEM, "no memory to open '%s'", options->shown);
    if (strlen(d->path) + sizeof("-journal") > PATH_LIMIT)
        return ex_raise(err, EX_EFILESYSTEM, "the path '%s' is too long for SQLite", d->path);
    return file_watch_init(&d->watch, d->path, err);
}

static ex_status check_there(const sqlite_driver *d, const char *dir, ex_error *err)
{
    if (access(d->path, F_OK) == 0)
        return EX_OK;
    return errno == ENOENT || errno == ENOTDIR
               ? ex_raise(err, EX_ENOTFOUND, "there is no store in '%s'", dir)
               : ex_raise(err, EX_EFILESYSTEM, "'%s': %s", d->path, strerror(errno));
}

static ex_status read_version(const sqlite_driver *d, store_format *ret, ex_error *err)
{
    sqlite_conn c;
    wal_proof seen;
    wal_proof_look(d->path, &seen);
    ex_status st = sqlite_reader_conn(d, SMALL_CACHE_BYTES, &c, err);
    if (st)
        return st;
    ret->known = SCHEMA_VERSION;
    st = wal_proof_check(&c, d->path, d->vfs, &seen, false, err);
    if (st == EX_OK)
        st = sqlite_schema_version(&c, d->path, &ret->found, &ret->features, err);
    sqlite_conn_close(&c);
    return st;
}

static ex_status driver_inspect(const store_driver_options *options, store_format *ret,
                                ex_error *err)
{
    sqlite_driver *d = calloc(1, sizeof(*d));
    if (!d)
        return ex_raise(err, EX_ENOMEM, "no memory to open '%s'", options->shown);
    ex_status st = fill_in(d, options, err);
    if (st == EX_OK)
        st = check_there(d, options->shown, err);
    if (st == EX_OK)
        st = choose_immutable(d, options, err);
    if (st == EX_OK)
        st = read_version(d, ret, err);
    driver_close(d);
    return st;
}

/* By another name the file would have another lock, and by another link another WAL: two processes
 * would write it and not know of each other. */
static ex_status check_only_name(const sqlite_driver *d, ex_error *err)
{
    struct stat st;
    if (lstat(d->path, &st) != 0)
        return EX_OK; /* not there, or opening it fails */
    if (S_ISLNK(st.st_mode))
        return ex_raise(err, EX_EFILESYSTEM,
                        "'%s' is a symbolic link: link the directory instead, its lock and its "
                        "files belong together",
                        d->path);
    if (S_ISREG(st.st_mode) && st.st_nlink > 1)
        return ex_raise(err, EX_EFILESYSTEM,
                        "'%s' has a second name (a hard link), under which another process could "
                        "write it: copy the file in its place",
                        d->path);
    return EX_OK;
}

/* Before SQLite touches anything: a WAL beside a missing log it would delete. */
static ex_status look_for_remains(sqlite_driver *d, const store_driver_options *options,
                                  ex_error *err)
{
    ex_status st = EX_OK;
    bool is_new = !d->seen.has_log;
    if (is_new && !options->new_log)
        st = wal_proof_check_remains(d->path, err);
    if (is_new ? options->new_log : options->without_wal && d->seen.has_wal)
        st = wal_proof_set_aside(d->path, !is_new, err);
    if (st == EX_OK)
        wal_proof_look(d->path, &d->seen);
    return st;
}

static ex_status driver_open(const store_driver_options *options, void **ret_impl, ex_error *err)
{
    sqlite_driver *d = calloc(1, sizeof(*d));
    if (!d)
        return ex_raise(err, EX_ENOMEM, "no memory to open '%s'", options->shown);
    bool may_create = !options->read_only && !options->must_exist;
    ex_status st = fill_in(d, options, err);
    if (st)
        goto out;
    if (!may_create)
        st = check_there(d, options->shown, err);
    if (st)
        goto out;
    wal_proof_look(d->path, &d->seen);
    if (d->read_only) {
        st = choose_immutable(d, options, err);
        if (st == EX_OK)
            st = ex_file_mark_read(d->path, &d->mark, err);
        if (st == EX_OK)
            st = check_format(d, &d->seen, err);
    } else {
        st = check_only_name(d, err);
        if (st == EX_OK)
            st = look_for_remains(d, options, err);
        if (st == EX_OK)
            st = stream_tails_init(&d->tails, err);
        if (st == EX_OK)
            st = ex_wal_writes_register(&d->wal_writes, d->vfs, err);
        checkpointer_init(&d->checkpoints, (int)options->checkpoint_pages, open_for_checkpoints, d);
        if (st == EX_OK)
            st = sqlite_writer_open(d, may_create, err);
        d->mark = d->watch.db;
    }
    if (st)
        st = ex_error_context(err, st, "'%s'", options->shown);
out:
    if (st)
        driver_close(d);
    else
        *ret_impl = d;
    return st;
}

const store_driver_ops store_sqlite_driver = {
    .name = "sqlite",
    .reader = &sqlite_reader,
    .files = &sqlite_files,
    .open = driver_open,
    .close = driver_close,
    .inspect = driver_inspect,
    .begin = sqlite_writer_begin,
    .find_streams = sqlite_writer_find_streams,
    .find_events = sqlite_writer_find_events,
    .read_stream = sqlite_writer_read_stream,
    .find_command = sqlite_writer_find_command,
    .write = sqlite_writer_write,
    .expire_commands = sqlite_writer_expire_commands,
    .keep_time = sqlite_writer_keep_time,
    .probe = sqlite_writer_probe,
    .adopt = sqlite_writer_adopt,
    .commit = sqlite_writer_commit,
    .rollback = sqlite_writer_rollback,
    .maintain = sqlite_writer_maintain,
    .measure_wal = driver_measure_wal,
};
