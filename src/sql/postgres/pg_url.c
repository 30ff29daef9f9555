/* pg_url.c: see pg_url.h. libpq parses; what it says about a bad URL is not passed on, for it may
 * quote the URL with its password. */
#include "sql/postgres/pg_url.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_SCHEMA        "excore"
#define SCHEMA_MAX            48 /* leaves room for a suffix such as _views */
#define CONNECT_TIMEOUT_MAX_S 3600
#define HOST_MAX              255

static const char *const ssl_modes[] = {"disable", "prefer", "require", "verify-ca", "verify-full"};
#define SSL_MODE_REQUIRE 2

bool ex_pg_is_url(const char *text)
{
    return strncmp(text, "postgres://", 11) == 0 || strncmp(text, "postgresql://", 13) == 0;
}

static ex_status set_schema(ex_pg_target *t, ex_slice name, ex_error *err)
{
    bool is_good = name.len > 0 && name.len <= SCHEMA_MAX && !ex_slice_starts(name, EX_S("pg_")) &&
                   !(name.ptr[0] >= '0' && name.ptr[0] <= '9');
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        is_good = is_good && ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_');
    }
    if (!is_good)
        return ex_raise(
            err, EX_EINVAL,
            "the schema in the PostgreSQL URL must be 1 to %d of a-z, 0-9 and _, not begin "
            "with a digit or pg_",
            SCHEMA_MAX);
    memcpy(t->schema, name.ptr, name.len);
    t->schema[name.len] = '\0';
    return EX_OK;
}

/* A password with a bare / or @ in it would be read as host, port and database, and so be shown. */
static ex_status check_password(const char *url, ex_error *err)
{
    const char *begin = strstr(url, "://") + 3;
    const char *last = memrchr(begin, '@', strcspn(begin, "?"));
    if (!last || last == begin + strcspn(begin, "@/"))
        return EX_OK;
    return ex_raise(err, EX_EINVAL,
                    "the PostgreSQL URL has an @ where none can be: in a password / is written as "
                    "%%2F and @ as %%40, other special characters as %%XX");
}

/* Copy the URL without schema=…; libpq refuses parameters that it does not know. */
static ex_status strip_schema(ex_pg_target *t, const char *url, ex_error *err)
{
    size_t size = strlen(url) + 1;
    t->url = calloc(size, 1);
    if (!t->url)
        return ex_raise(err, EX_ENOMEM, "no memory for a PostgreSQL URL");
    const char *query = strchr(url, '?');
    size_t len = query ? (size_t)(query - url) : size - 1;
    memcpy(t->url, url, len);
    char separator = '?';
    while (query && *query) {
        const char *begin = query + 1;
        size_t n = strcspn(begin, "&");
        ex_slice part = {begin, n};
        query = begin + n;
        if (ex_slice_starts(part, EX_S("schema="))) {
            ex_status st = set_schema(t, ex_slice_of(begin + 7, n - 7), err);
            if (st)
                return st;
            continue;
        }
        t->url[len++] = separator;
        separator = '&';
        memcpy(t->url + len, begin, n);
        len += n;
    }
    t->url[len] = '\0';
    return EX_OK;
}

static const char *option(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++) {
        if (strcmp(options->keyword, keyword) == 0)
            return options->val ? options->val : "";
    }
    return "";
}

static bool is_local(const char *host, size_t len)
{
    ex_slice h = {host, len};
    return len == 0 || host[0] == '/' || host[0] == '@' || ex_slice_is(h, "localhost") ||
           ex_slice_is(h, "::1") ||
           (ex_slice_starts(h, EX_S("127.")) && strspn(host, "0123456789.") >= len);
}

static bool has_remote_host(const char *hosts)
{
    for (;;) {
        size_t n = strcspn(hosts, ",");
        if (!is_local(hosts, n))
            return true;
        if (!hosts[n])
            return false;
        hosts += n + 1;
    }
}

static ex_status read_sslmode(ex_pg_target *t, const char *mode, ex_error *err)
{
    if (!*mode)
        mode = "prefer"; /* also against PGSSLMODE: what counts is what the URL says */
    for (size_t i = 0; i < sizeof(ssl_modes) / sizeof(ssl_modes[0]); i++) {
        if (strcmp(mode, ssl_modes[i]) == 0) {
            (void)snprintf(t->sslmode, sizeof(t->sslmode), "%s", mode); /* fits */
            return EX_OK;
        }
    }
    return ex_raise(err, EX_EINVAL,
                    "sslmode in the PostgreSQL URL must be disable, prefer, require, verify-ca or "
                    "verify-full");
}

/* ---- Lists of hosts ---- */

static uint32_t count_items(const char *list)
{
    uint32_t count = *list != 0;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

static bool has_bad_item(const char *list, size_t max_len, bool may_be_empty)
{
    for (bool has_more = *list; has_more;) {
        size_t n = strcspn(list, ",");
        if (n > max_len || (n == 0 && !may_be_empty))
            return true;
        has_more = list[n] == ',';
        list += n + 1;
    }
    return false;
}

/* As libpq wants them: as many addresses and ports as hosts, or one port for all. */
static ex_status read_hosts(ex_pg_target *t, const char *hosts, const char *addresses,
                            const char *ports, ex_error *err)
{
    uint32_t host_count = count_items(hosts), address_count = count_items(addresses);
    uint32_t port_count = count_items(ports);
    t->host_count = host_count ? host_count : address_count ? address_count : 1;
    bool is_bad = (address_count && address_count != t->host_count) ||
                  (port_count > 1 && port_count != t->host_count);
    if (is_bad)
        return ex_raise(err, EX_EINVAL,
                        "the PostgreSQL URL must have as many ports and addresses as hosts");
    if (has_bad_item(hosts, HOST_MAX, t->host_count == 1) ||
        has_bad_item(addresses, HOST_MAX, t->host_count == 1) || has_bad_item(ports, 5, true))
        return ex_raise(err, EX_EINVAL,
                        "a host, an address or a port in the PostgreSQL URL is empty or too long");
    t->hosts = strdup(hosts);
    t->addresses = strdup(addresses);
    t->ports = strdup(ports);
    if (!t->hosts || !t->addresses || !t->ports)
        return ex_raise(err, EX_ENOMEM, "no memory for a PostgreSQL URL");
    return EX_OK;
}

static ex_status read_session_attrs(ex_pg_target *t, const char *attrs, ex_error *err)
{
    static const char *const known[] = {"",        "any",     "read-write",    "read-only",
                                        "primary", "standby", "prefer-standby"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(attrs, known[i]) == 0) {
            (void)snprintf(t->session_attrs, sizeof(t->session_attrs), "%s", attrs); /* fits */
            return EX_OK;
        }
    }
    return ex_raise(
        err, EX_EINVAL,
        "target_session_attrs in the PostgreSQL URL must be any, read-write, read-only, "
        "primary, standby or prefer-standby");
}

static ex_status read_connect_timeout(ex_pg_target *t, const char *seconds, ex_error *err)
{
    char *end;
    if (!*seconds)
        return EX_OK;
    long s = strtol(seconds, &end, 10);
    if (*end || s < 1 || s > CONNECT_TIMEOUT_MAX_S)
        return ex_raise(err, EX_EINVAL,
                        "connect_timeout in the PostgreSQL URL must be 1 to %d seconds",
                        CONNECT_TIMEOUT_MAX_S);
    t->connect_timeout_ms = (uint32_t)s * 1000;
    return EX_OK;
}

/* What libpq takes from the environment when the URL says nothing: PGHOST, PGSERVICE, … */
static const char *option_or(const PQconninfoOption *options, const PQconninfoOption *defaults,
                             const char *keyword)
{
    const char *value = option(options, keyword);
    return *value ? value : option(defaults, keyword);
}

static ex_status read_options(ex_pg_target *t, const PQconninfoOption *options,
                              const PQconninfoOption *defaults, ex_error *err)
{
    const char *address = option_or(options, defaults, "hostaddr"); /* the stronger one */
    const char *host = option_or(options, defaults, "host");
    if (!*host)
        host = address;
    const char *port = option(options, "port");
    const char *database = option(options, "dbname");
    const char *role = option(options, "user");
    if (strlen(role) >= EX_PG_NAME_SIZE || strlen(database) >= EX_PG_NAME_SIZE)
        return ex_raise(err, EX_EINVAL, "a name in the PostgreSQL URL is longer than 63 bytes");
    (void)snprintf(t->role, sizeof(t->role), "%s", role);             /* fits */
    (void)snprintf(t->database, sizeof(t->database), "%s", database); /* fits */
    bool is_list = strchr(host, ',') != NULL;
    const char *shown_port = port;
    if (strspn(port, ",") == strlen(port)) /* of a list: each empty, the default */
        shown_port = is_list ? "" : "5432";
    bool has_port = host[0] != '/' && *shown_port;
    /* A long list of hosts is cut: the label is for people. */
    (void)snprintf(t->label, sizeof(t->label), "%.200s%s%s%s%s", *host ? host : "the local socket",
                   has_port ? ":" : "", has_port ? shown_port : "", *database ? "/" : "", database);
    t->is_remote = has_remote_host(host) || has_remote_host(address) ||
                   *option(options, "service"); /* stands in a file that libpq reads */
    ex_status st = read_hosts(t, option(options, "host"), option(options, "hostaddr"), port, err);
    st = st ? st : read_session_attrs(t, option(options, "target_session_attrs"), err);
    st = st ? st : read_connect_timeout(t, option(options, "connect_timeout"), err);
    return st ? st : read_sslmode(t, option(options, "sslmode"), err);
}

/* libpq names the parameter that it does not know; all else it says may quote the password. */
static ex_status raise_bad_url(const char *text, ex_error *err)
{
    static const char unknown[] = "invalid URI query parameter: ";
    if (text && strncmp(text, unknown, sizeof(unknown) - 1) == 0)
        return ex_raise(err, EX_EINVAL, "the PostgreSQL URL has an unknown parameter %.*s",
                        (int)strcspn(text + sizeof(unknown) - 1, "\n"), text + sizeof(unknown) - 1);
    return ex_raise(err, EX_EINVAL,
                    "the PostgreSQL URL cannot be read: expected "
                    "postgres://ROLE:PASSWORD@HOST:PORT/DATABASE, with special characters as %%XX");
}

ex_status ex_pg_target_init(ex_pg_target *ret, const char *url, ex_error *err)
{
    ex_pg_target t = {.schema = DEFAULT_SCHEMA};
    char *text = NULL;
    PQconninfoOption *options = NULL, *defaults = NULL;
    ex_status st = ex_pg_is_url(url) ? check_password(url, err) : raise_bad_url(NULL, err);
    st = st ? st : strip_schema(&t, url, err);
    if (st)
        goto out;
    options = PQconninfoParse(t.url, &text);
    defaults = PQconndefaults();
    if (!defaults)
        st = ex_raise(err, EX_ENOMEM, "no memory for a PostgreSQL URL");
    else
        st = options ? read_options(&t, options, defaults, err) : raise_bad_url(text, err);
out:
    PQconninfoFree(defaults);
    PQconninfoFree(options);
    PQfreemem(text);
    if (st)
        ex_pg_target_done(&t);
    else
        *ret = t;
    return st;
}

void ex_pg_target_done(ex_pg_target *t)
{
    if (t->url)
        explicit_bzero(t->url, strlen(t->url));
    free(t->url);
    free(t->hosts);
    free(t->addresses);
    free(t->ports);
    memset(t, 0, sizeof(*t));
}

ex_status ex_pg_target_check_tls(const ex_pg_target *t, ex_error *err)
{
    size_t mode = 0;
    while (strcmp(t->sslmode, ssl_modes[mode]) != 0)
        mode++;
    if (!t->is_remote || mode >= SSL_MODE_REQUIRE)
        return EX_OK;
    return ex_raise(err, EX_EINVAL,
                    "in production a PostgreSQL server that is not on this machine needs "
                    "sslmode=require, verify-ca or verify-full, not %s",
                    t->sslmode);
}

const char *ex_pg_show_place(const char *place, char room[EX_PG_PLACE_SIZE])
{
    ex_pg_target t;
    if (!place || !ex_pg_is_url(place))
        return place;
    if (ex_pg_target_init(&t, place, NULL) != EX_OK)
        return "postgres://…";
    (void)snprintf(room, EX_PG_PLACE_SIZE, "postgres %s, schema %s", t.label, t.schema); /* fits */
    ex_pg_target_done(&t);
    return room;
}
