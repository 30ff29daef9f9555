/* postgres.c: see postgres.h. */
#include "support/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sql/postgres/pg_conn.h"

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    if (!value || !*value) {
        fprintf(stderr, "%s is not set: run this under tools/postgres.sh with DIR (ctest does)\n",
                name);
        exit(1);
    }
    return value;
}

const char *postgres_url(void)
{
    return variable("EXCORE_TEST_POSTGRES");
}

const char *postgres_tcp_url(void)
{
    return variable("EXCORE_TEST_POSTGRES_TCP");
}

const char *postgres_script(void)
{
    return variable("EXCORE_TEST_POSTGRES_SH");
}

bool postgres_run(const char *verb, const char *dir, char *out, size_t size)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    const char *script = postgres_script();
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execl(script, script, verb, dir, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    size_t len = 0;
    ssize_t n = 0;
    char rest[256];
    while (pid > 0 &&
           (n = read(ends[0], out ? out + len : rest, out ? size - 1 - len : sizeof(rest))) > 0)
        len += out ? (size_t)n : 0;
    (void)close(ends[0]);
    if (out) {
        out[len] = '\0';
        out[strcspn(out, "\n")] = '\0';
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

const char *postgres_schema_url(const char *url, const char *name, char ret[POSTGRES_URL_SIZE])
{
    (void)snprintf(ret, POSTGRES_URL_SIZE, "%s%cschema=t%d_%s", url, strchr(url, '?') ? '&' : '?',
                   (int)getpid(), name);
    return ret;
}

void postgres_drop_schema(const char *url)
{
    ex_pg *pg = NULL;
    ex_error err = {0};
    char sql[160];
    ex_status st = ex_pg_open(&(ex_pg_options){.url = url}, &pg, &err);
    if (st == EX_OK) {
        (void)snprintf(sql, sizeof(sql),
                       "SET client_min_messages = warning; DROP SCHEMA IF EXISTS \"%s\" CASCADE",
                       ex_pg_target_of(pg)->schema);
        st = ex_pg_script(pg, sql, &err);
    }
    if (st)
        fprintf(stderr, "drop schema: %s\n", err.message);
    ex_pg_close(pg);
}
