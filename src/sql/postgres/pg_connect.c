/* pg_connect.c: connecting without blocking past a deadline.
 *
 * PQconnectPoll knows no time-out, so that one host of a list that answers nothing would use up all
 * of it. Hence the list is walked here, as libpq does it: the next host after one that cannot be
 * reached, is starting up or is not what target_session_attrs asks for; no other after a refusal (a
 * wrong password, no such database). Each gets its share of the time.
 */
#include "sql/postgres/pg_int.h"

#include <stdio.h>
#include <stdlib.h>

#define HOST_MAX_MS  5000 /* for one host, when there are others to try */
#define KEYWORDS_MAX 128
#define HOST_SIZE    256

/* What the program sets, unless the URL does: libpq takes the last value of a keyword. A host that
 * is gone, with all its addresses, is found out by the kernel in about ten seconds: an idle
 * connection by keep-alives (5 s, then 2 s apart), one that has something to send by the time for
 * which nothing was acknowledged. Shorter ones would end connections over a switch that reboots.
 * What only a layer above the kernel's TCP can see is pg_beside.c's. */
static const char *const defaults[][2] = {
    {"application_name", "excore"}, {"gssencmode", "disable"}, {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},   {"keepalives_count", "3"}, {"tcp_user_timeout", "10000"},
};
#define DEFAULT_COUNT (sizeof(defaults) / sizeof(defaults[0]))

/* One server of the URL's list. Empty: libpq's default, which may come from the environment. */
typedef struct endpoint {
    char host[HOST_SIZE], address[HOST_SIZE], port[16];
    char wanted[16]; /* target_session_attrs */
    char label[EX_PG_LABEL_SIZE];
} endpoint;

/* By default libpq prints what the server remarks. */
static void ignore_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

typedef struct keywords {
    const char *names[KEYWORDS_MAX + 1], *values[KEYWORDS_MAX + 1];
    size_t count;
} keywords;

/* An empty value is none, to libpq too. */
static void set(keywords *k, const char *name, const char *value)
{
    if (k->count == KEYWORDS_MAX)
        return; /* libpq has half as many */
    k->names[k->count] = name;
    k->values[k->count++] = value;
}

static bool is_of_endpoint(const char *keyword)
{
    return strcmp(keyword, "host") == 0 || strcmp(keyword, "hostaddr") == 0 ||
           strcmp(keyword, "port") == 0 || strcmp(keyword, "target_session_attrs") == 0;
}

static PGconn *begin(const ex_pg_target *target, const endpoint *e)
{
    keywords k = {.count = 0};
    PQconninfoOption *options = PQconninfoParse(target->url, NULL);
    for (size_t i = 0; i < DEFAULT_COUNT; i++)
        set(&k, defaults[i][0], defaults[i][1]);
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (o->val && !is_of_endpoint(o->keyword))
            set(&k, o->keyword, o->val);
    set(&k, "host", e->host);
    set(&k, "hostaddr", e->address);
    set(&k, "port", e->port);
    set(&k, "target_session_attrs", e->wanted);
    set(&k, "sslmode", target->sslmode);
    set(&k, "client_encoding", "UTF8"); /* not the URL's to choose */
    PGconn *conn = options ? PQconnectStartParams(k.names, k.values, 0) : NULL;
    PQconninfoFree(options);
    if (conn) {
        PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* for the SQLSTATE */
        PQsetNoticeReceiver(conn, ignore_notice, NULL);
    }
    return conn;
}

static ex_status raise_failed(const ex_pg_target *target, const endpoint *e, const PGconn *conn,
                              char *ret_sqlstate, ex_error *err)
{
    const char *role = PQuser(conn), *database = PQdb(conn);
    return pg_raise_connect(PQerrorMessage(conn), role ? role : target->role,
                            database ? database : target->database, e->label, ret_sqlstate, err);
}

static ex_status connect_to(const ex_pg_target *target, const endpoint *e, pg_limit limit,
                            char ret_sqlstate[PG_SQLSTATE_SIZE], PGconn **ret, ex_error *err)
{
    ex_status st = EX_OK;
    PGconn *conn = begin(target, e);
    ret_sqlstate[0] = '\0';
    if (!conn)
        return ex_raise(err, EX_ENOMEM, "no memory for a connection to PostgreSQL");
    PostgresPollingStatusType polled = PGRES_POLLING_WRITING;
    if (PQstatus(conn) == CONNECTION_BAD)
        polled = PGRES_POLLING_FAILED;
    while (polled == PGRES_POLLING_WRITING || polled == PGRES_POLLING_READING) {
        short events = polled == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (!pg_poll(PQsocket(conn), events, -1, limit)) {
            st = ex_raise(err, EX_ETIMEOUT, "cannot connect to PostgreSQL at %s: no answer in time",
                          e->label);
            goto out;
        }
        polled = PQconnectPoll(conn);
    }
    if (polled != PGRES_POLLING_OK)
        st = raise_failed(target, e, conn, ret_sqlstate, err);
    else
        st = pg_check_version(PQserverVersion(conn), e->label, err);
    if (!st && PQsetnonblocking(conn, 1) != 0)
        st = ex_raise(err, EX_ENOMEM, "no memory for a connection to PostgreSQL");
out:
    if (st)
        PQfinish(conn);
    else
        *ret = conn;
    return st;
}

/* ---- Several hosts ---- */

/* Of "a,b,c", or the one value that holds for all. Fits: pg_url.c has looked. */
static void take_item(const char *list, uint32_t index, char *out, size_t size)
{
    for (; index > 0 && strchr(list, ','); index--)
        list = strchr(list, ',') + 1;
    (void)snprintf(out, size, "%.*s", (int)strcspn(list, ","), list);
}

static void set_label(const ex_pg_target *target, endpoint *e)
{
    bool is_socket = e->host[0] == '/';
    if (target->host_count == 1)
        (void)snprintf(e->label, sizeof(e->label), "%s", target->label);
    else /* cut is fine: for people */
        (void)snprintf(e->label, sizeof(e->label), "%.200s%s%s%s%s",
                       *e->host ? e->host : e->address, is_socket ? "" : ":",
                       is_socket ? "" : e->port, *target->database ? "/" : "", target->database);
}

static void choose(const ex_pg_target *target, uint32_t index, const char *wanted, endpoint *ret)
{
    memset(ret, 0, sizeof(*ret));
    take_item(target->hosts, index, ret->host, sizeof(ret->host));
    take_item(target->addresses, index, ret->address, sizeof(ret->address));
    take_item(target->ports, index, ret->port, sizeof(ret->port));
    if (target->host_count > 1 && !*ret->port)
        (void)snprintf(ret->port, sizeof(ret->port), "5432");
    (void)snprintf(ret->wanted, sizeof(ret->wanted), "%s", wanted); /* fits: as above */
    set_label(target, ret);
}

/* What is left, shared by those to come; a host that answers at all does so within seconds. */
static pg_limit share(pg_limit limit, uint32_t left)
{
    uint64_t now = pg_now_ns();
    if (left == 1 || now >= limit.deadline_ns)
        return limit;
    uint64_t part = (limit.deadline_ns - now) / left, most = UINT64_C(1000000) * HOST_MAX_MS;
    limit.deadline_ns = now + (part < most ? part : most);
    return limit;
}

static bool may_try_next(ex_status st, const char *sqlstate)
{
    if (*sqlstate)
        return strcmp(sqlstate, "57P03") == 0; /* starting up, or a standby that takes nobody */
    return st == EX_EAGAIN || st == EX_ETIMEOUT;
}

/* Each host's reason, one behind the other. */
static void add_reason(ex_error *all, const ex_error *one)
{
    size_t n = strlen(all->message);
    if (n == 0)
        *all = *one;
    else if (snprintf(all->message + n, sizeof(all->message) - n, "; %s", one->message) < 0)
        all->message[n] = '\0'; /* not cut, which is fine: for people */
}

ex_status pg_connect(const ex_pg_target *target, pg_limit limit,
                     char ret_sqlstate[PG_SQLSTATE_SIZE], PGconn **ret, ex_error *err)
{
    /* libpq's second pass: any when there is no standby */
    bool is_twice = strcmp(target->session_attrs, "prefer-standby") == 0;
    uint32_t count = target->host_count, total = is_twice ? 2 * count : count;
    ex_error reasons = {0}, reason = {0};
    ex_status st = EX_EAGAIN;
    for (uint32_t i = 0; i < total; i++) {
        endpoint e;
        bool is_last_pass = i >= total - count;
        choose(target, i < count ? i : i - count,
               !is_twice      ? target->session_attrs
               : is_last_pass ? "any"
                              : "standby",
               &e);
        st = connect_to(target, &e, share(limit, total - i), ret_sqlstate, ret, &reason);
        if (!st)
            return EX_OK;
        if (is_last_pass)
            add_reason(&reasons, &reason);
        if (!may_try_next(st, ret_sqlstate))
            break;
    }
    if (err)
        *err = count == 1 || !reasons.message[0] ? reason : reasons;
    return st;
}

/* ---- Beside a connection ---- */

static void choose_same(const ex_pg *pg, endpoint *ret)
{
    const char *host = PQhost(pg->conn), *address = PQhostaddr(pg->conn);
    const char *port = PQport(pg->conn);
    *ret = (endpoint){.wanted = "any"};
    (void)snprintf(ret->host, sizeof(ret->host), "%s", host ? host : "");
    (void)snprintf(ret->address, sizeof(ret->address), "%s", address ? address : "");
    (void)snprintf(ret->port, sizeof(ret->port), "%s", port ? port : "");
    set_label(&pg->target, ret);
}

ex_status pg_connect_same(const ex_pg *pg, pg_limit limit, PGconn **ret)
{
    char sqlstate[PG_SQLSTATE_SIZE];
    endpoint e;
    choose_same(pg, &e);
    return connect_to(&pg->target, &e, limit, sqlstate, ret, NULL);
}
