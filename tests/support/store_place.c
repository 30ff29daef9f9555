/* store_place.c: see store_place.h. */
#include "support/store_place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sql/sql.h"
#include "support/postgres.h"

static bool is_server;
static unsigned made;

void store_place_use(int argc, char **argv)
{
    is_server = argc == 2 && strcmp(argv[1], "postgres") == 0;
}

bool store_place_is_server(void)
{
    return is_server;
}

store_place store_place_make(void)
{
    store_place p = {0};
    char name[32];
    if (is_server) {
        (void)snprintf(name, sizeof(name), "place_%u", ++made);
        postgres_schema_url(postgres_url(), name, p.text);
    } else {
        p.dir = temp_dir_make();
        (void)snprintf(p.text, sizeof(p.text), "%s", p.dir.path);
    }
    return p;
}

static ex_sql *open_views(const store_place *p)
{
    char path[1200];
    ex_sql *db = NULL;
    ex_error err;
    (void)snprintf(path, sizeof(path), is_server ? "%s" : "%s/views.db", p->text);
    if (ex_sql_open(&(ex_sql_options){.place = path, .schema_suffix = "_views"}, &db, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    return db;
}

static void drop(const store_place *p, const char *suffix)
{
    char sql[256];
    ex_error err;
    ex_sql *db = open_views(p);
    (void)snprintf(sql, sizeof(sql), "DROP SCHEMA IF EXISTS %s%s CASCADE",
                   strstr(p->text, "schema=") + 7, suffix);
    if (ex_sql_script(db, sql, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    ex_sql_close(db);
}

void store_place_remove(const store_place *p)
{
    if (!is_server) {
        temp_dir_remove(&p->dir);
        return;
    }
    drop(p, "_views");
    drop(p, "");
}

void store_place_drop_views(const store_place *p)
{
    static const char *const names[] = {"views.db", "views.db-wal", "views.db-shm"};
    char path[1200];
    if (is_server) {
        drop(p, "_views");
        return;
    }
    for (int i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", p->text, names[i]);
        (void)unlink(path);
    }
}

int64_t store_place_views_number(const store_place *p, const char *sql)
{
    ex_sql *db = open_views(p);
    ex_sql_stmt *st = NULL;
    ex_error err;
    if (ex_sql_prepare(db, ex_str(sql), &st, &err) || ex_sql_step(st, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    int64_t n = ex_sql_i64(st, 0);
    ex_sql_close(db);
    return n;
}
