/* view_list.c: reads the table of checkpoints (view_store.c) from a views.db that others may write.
 */
#include "runtime/view_list.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "sql/sqlite_db.h"

static ex_status read_list(ex_db *db, view_list_fn *fn, void *ctx, ex_error *err)
{
    sqlite3_stmt *st = NULL;
    ex_status status = ex_db_statement(
        db, EX_S("SELECT view, position FROM excore_views ORDER BY view"), &st, err);
    while (status == EX_OK) {
        status = ex_db_step(db, st, err);
        if (status)
            break;
        const void *name = sqlite3_column_text(st, 0);
        fn(ctx, ex_slice_of(name, (size_t)sqlite3_column_bytes(st, 0)),
           (uint64_t)sqlite3_column_int64(st, 1));
    }
    return status == EX_EEND ? EX_OK : status;
}

ex_status view_list_read(const char *dir, view_list_fn *fn, void *ctx, ex_error *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/views.db", dir);
    if (n < 0 || (size_t)n >= sizeof(path))
        return ex_raise(err, EX_EFILESYSTEM, "'%s': the path is too long", dir);
    if (access(path, F_OK) != 0)
        return EX_OK;
    ex_db db;
    const ex_db_options options = {.path = path, .read_only = true};
    ex_status st = ex_db_open(&db, &options, err);
    if (st == EX_OK) {
        st = read_list(&db, fn, ctx, err);
        ex_db_close(&db);
    }
    return st ? ex_error_context(err, st, "'%s'", path) : EX_OK;
}
