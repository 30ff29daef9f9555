/* postgres.c: see postgres.h. */
#include "support/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

const char *postgres_schema_url(const char *url, const char *name, char ret[POSTGRES_URL_SIZE])
{
    (void)snprintf(ret, POSTGRES_URL_SIZE, "%s%cschema=t%d_%s", url, strchr(url, '?') ? '&' : '?',
                   (int)getpid(), name);
    return ret;
}
