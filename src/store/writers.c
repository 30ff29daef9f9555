/* writers.c: see writers.h. */
#include "store/writers.h"

#include <stdlib.h>

#include "sql/postgres/pg_url.h"
#include "store/directory.h"
#include "store/lock_file.h"
#include "store/postgres/presence.h"

#define TIMEOUT_MS 5000

struct ex_writers {
    store_directory place;
    ex_pg *pg; /* NULL: a directory, or not connected */
};

ex_status ex_writers_new(const char *place, ex_writers **ret, ex_error *err)
{
    ex_writers *w = calloc(1, sizeof(*w));
    if (!w)
        return ex_raise(err, EX_ENOMEM, "no memory to look for writers");
    ex_status st = store_directory_init(&w->place, place, true, err);
    if (st)
        free(w);
    else
        *ret = w;
    return st;
}

void ex_writers_free(ex_writers *w)
{
    if (!w)
        return;
    ex_pg_close(w->pg);
    store_directory_done(&w->place);
    free(w);
}

/* The primary's: a standby does not know the locks of its primary. */
static ex_status connect(ex_writers *w, ex_error *err)
{
    const ex_pg_options options = {.url = w->place.path,
                                   .is_primary = true,
                                   .connect_timeout_ms = TIMEOUT_MS,
                                   .statement_timeout_ms = TIMEOUT_MS};
    if (!w->pg)
        return ex_pg_open(&options, &w->pg, err);
    return ex_pg_is_broken(w->pg) ? ex_pg_reopen(w->pg, err) : EX_OK;
}

static ex_status ask_server(ex_writers *w, bool *ret, ex_error *err)
{
    ex_status st = connect(w, err);
    st = st ? st : pg_presence_ask(w->pg, ret, err);
    if (!st || !w->pg || !ex_pg_is_broken(w->pg))
        return st;
    st = connect(w, err); /* it had ended meanwhile */
    return st ? st : pg_presence_ask(w->pg, ret, err);
}

ex_status ex_writers_ask(ex_writers *w, bool *ret, ex_error *err)
{
    return ex_pg_is_url(w->place.path) ? ask_server(w, ret, err)
                                       : lock_file_is_held(w->place.path, ret, err);
}
