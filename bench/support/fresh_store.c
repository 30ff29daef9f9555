/* fresh_store.c: see fresh_store.h. */
#include "support/fresh_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/postgres/pg_conn.h"
#include "support/report.h"

const char *bench_fresh_store(const char *name, char out[BENCH_URL_SIZE])
{
    const char *server = getenv("EXCORE_POSTGRES");
    ex_pg *pg = NULL;
    ex_error err;
    char sql[256];
    if (!server) {
        fprintf(stderr, "bench: EXCORE_POSTGRES must name a PostgreSQL server\n");
        exit(1);
    }
    (void)snprintf(sql, sizeof(sql),
                   "DROP SCHEMA IF EXISTS bench_%s CASCADE; "
                   "DROP SCHEMA IF EXISTS bench_%s_views CASCADE",
                   name, name); /* fits */
    bench_require(ex_pg_open(&(ex_pg_options){.url = server}, &pg, &err), &err);
    bench_require(ex_pg_script(pg, sql, &err), &err);
    ex_pg_close(pg);
    (void)snprintf(out, BENCH_URL_SIZE, "%s%cschema=bench_%s", server,
                   strchr(server, '?') ? '&' : '?', name); /* our own URL: short */
    return out;
}
