/* serve.c: the server is a list of parts. They start in this order and stop in the opposite one:
 *
 *   log → place → metrics → health → application → store → node → runtime → api → http
 *
 * When a part does not start, those before it are stopped and its error is the
 * server's (R-01-25). Ending is the same walk from the last part: http drains first
 * while everything below it still works.
 *
 * The main thread does nothing but start, wait for signals and stop. */
#include "app/serve.h"

#include "app/application.h"
#include "app/last_resort.h"
#include "app/version.h"
#include "kernel/path.h"
#include "model/openapi.h"
#include "observe/health.h"
#include "store/wal_report.h"
#include "runtime/runtime_end.h"
#include "runtime/views.h"
#include "sql/lease.h"
#include "sql/postgres/pg_url.h"
#include "store/describe.h"
#include "store/store_end.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define HEAD_AGE_MS 1000 /* degraded above it */

typedef struct server {
    const settings *settings;
    char *place; /* store.data from the root on */
    application application;
    ex_metrics *metrics;
    ex_health *health;
    ex_store *store;
    ex_leases *leases;
    ex_runtime *runtime; /* NULL without an application */
    api *api;
    http_server *http;
    last_resort last_resort;
} server;

/* ---- Parts ---- */

static ex_status start_log(server *s, ex_error *err)
{
    return ex_log_open(&s->settings->log, err);
}

static void stop_log(server *s)
{
    (void)s;
    ex_log_close();
}

static void count_lost_lines(void *ctx)
{
    ex_counter *lost = ctx; /* collectors run one after another */
    ex_counter_add(lost, ex_log_lost() - ex_counter_value(lost));
}

/* Before an application is loaded: what it does to the process's directory does not count. */
static ex_status find_place(server *s, ex_error *err)
{
    const char *data = s->settings->data;
    if (ex_pg_is_url(data))
        return ex_pg_url_absolute(data, &s->place, err);
    if (strcmp(data, EX_STORE_MEMORY) != 0)
        return ex_path_absolute(data, &s->place, err);
    s->place = strdup(data);
    return s->place ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory for a path");
}

static void forget_place(server *s)
{
    free(s->place);
}

static ex_status start_metrics(server *s, ex_error *err)
{
    static const ex_metric_desc lost_lines = {
        "log_lines_lost_total", "Log lines that could not be written.", {NULL}};
    ex_counter *lost = NULL;
    ex_status status = ex_metrics_new("excore", &s->metrics, err);
    if (!status)
        status = ex_metrics_add_process(s->metrics, app_version(), app_commit(), err);
    if (!status)
        status = ex_metrics_counter(s->metrics, &lost_lines, &lost, err);
    if (!status && ex_metrics_on_collect(s->metrics, count_lost_lines, lost))
        status = ex_raise(err, EX_ENOMEM, "no memory for metrics");
    return status;
}

static void stop_metrics(server *s)
{
    ex_metrics_free(s->metrics);
}

static ex_status start_health(server *s, ex_error *err)
{
    return ex_health_new(NULL, &s->health, err);
}

static void stop_health(server *s)
{
    ex_health_free(s->health);
}

static ex_status start_application(server *s, ex_error *err)
{
    const char *path = s->settings->app;
    if (!*path)
        return EX_OK;
    if (s->application.app)
        return ex_raise(err, EX_EINVAL, "%s is linked in; runtime.app must not name another",
                        s->application.app->name);
    return application_load(path, &s->application, err);
}

static void stop_application(server *s)
{
    application_unload(&s->application);
}

/* What other nodes have appended since is not shown here, unless a read asks for it. */
static ex_status check_head_age(const server *s, uint64_t limit_ms, ex_error *err)
{
    uint64_t age_ms = ex_store_head_age_ms(s->store);
    return age_ms <= limit_ms
               ? EX_OK
               : ex_raise(err, EX_EAGAIN, "the end of the log was last known %llu ms ago",
                          (unsigned long long)age_ms);
}

/* Readiness: a read through the store's own way, whether the last batch was stored, and whether the
 * node knows what others store. */
static ex_status check_store(void *ctx, ex_error *err)
{
    const server *s = ctx;
    uint64_t version = 0;
    ex_status status =
        check_head_age(s, s->settings->head_age_limit_ms, err); /* waits for nobody */
    if (!status)
        status = ex_store_stream_version(s->store, EX_S("$health"), &version, err);
    if (status)
        return status;
    status = ex_store_check_writes(s->store, err);
    return status ? ex_error_context(err, status, "writes fail") : EX_OK;
}

static ex_status check_head(void *ctx, ex_error *err)
{
    return check_head_age(ctx, HEAD_AGE_MS, err);
}

static ex_status check_wal(void *ctx, ex_error *err)
{
    return ex_store_check_wal(ctx, err);
}

static ex_status check_clock(void *ctx, ex_error *err)
{
    return ex_store_check_clock(ctx, err);
}

static void report_slow_statement(void *ctx, ex_slice statement, uint32_t elapsed_ms)
{
    (void)ctx;
    EX_LOG(EX_LOG_WARN, "slow statement", ex_f_str("name", statement),
           ex_f_u64("elapsed_ms", elapsed_ms));
}

static void report_write_end(void *ctx, const ex_error *why)
{
    (void)ctx;
    ex_log_error(EX_LOG_ERROR, "writing has ended, all appends are refused", why);
}

/* The start has found that the log may have lost its end, or is a copy: those who keep positions of
 * it may be told LOG_CHANGED. */
static void report_epoch(ex_store *store, int64_t opened_us)
{
    const ex_log_epoch e = ex_store_epoch(store);
    if (e.reason == EX_EPOCH_CREATED || e.opened_at_us < opened_us)
        return;
    EX_LOG(e.reason == EX_EPOCH_RESTARTED ? EX_LOG_INFO : EX_LOG_WARN, "the log has a new epoch",
           ex_f_u64("first_position", e.first),
           ex_f_cstr("reason", ex_epoch_reason_name(e.reason)));
}

static ex_status start_store(server *s, ex_error *err)
{
    ex_store_options options = s->settings->store;
    options.metrics = s->metrics;
    options.on_slow = report_slow_statement;
    options.on_write_end = report_write_end;
    int64_t before_us = ex_now_us(ex_clock_system());
    ex_status status = ex_store_open(s->place, &options, &s->store, err);
    if (status)
        return status;
    report_epoch(s->store, before_us);
    const ex_health_check checks[] = {
        {.name = "store", .run = check_store, .ctx = s},
        {.name = "clock", .run = check_clock, .ctx = s->store, .is_minor = true},
        {.name = "head", .run = check_head, .ctx = s, .is_minor = true},
        {.name = "wal", .run = check_wal, .ctx = s->store, .is_minor = true}};
    status = ex_health_add(s->health, &checks[0], err);
    if (!status)
        status = ex_health_add(s->health, &checks[1], err);
    if (!status && ex_pg_is_url(s->settings->data))
        status = ex_health_add(s->health, &checks[2], err);
    if (!status && ex_store_has_wal(s->store))
        status = ex_health_add(s->health, &checks[3], err);
    return status;
}

static void stop_store(server *s)
{
    (void)ex_health_remove(s->health, "store"); /* not there when adding it failed */
    (void)ex_health_remove(s->health, "clock");
    (void)ex_health_remove(s->health, "head"); /* nor for a directory */
    (void)ex_health_remove(s->health, "wal");
    ex_store_close(s->store);
}

/* Also without an application, so that every node is seen. */
static ex_status start_node(server *s, ex_error *err)
{
    const ex_leases_options options = {.url = ex_pg_is_url(s->place) ? s->place : NULL,
                                       .version = app_version(),
                                       .ttl_ms = s->settings->lease_ms,
                                       .metrics = s->metrics};
    ex_status status = ex_leases_start(&options, &s->leases, err);
    char node[EX_ID_TEXT_SIZE];
    if (!status && options.url) { /* as `excore status` names it */
        ex_id id = ex_leases_id(s->leases);
        EX_LOG(EX_LOG_INFO, "joined", ex_f_str("node", ex_id_text(&id, node)));
    }
    return status;
}

static void stop_node(server *s)
{
    ex_leases_stop(s->leases);
}

/* Slow decisions and failing views. */
static void report(void *ctx, const char *what, const char *name, const ex_error *err)
{
    (void)ctx;
    EX_LOG(EX_LOG_WARN, what, ex_f_cstr("name", name), ex_f_cstr("error", err ? err->message : ""));
}

/* A view that does not move answers old news, one that has parked events lacks some: worth telling,
 * no reason to take the server out. */
static ex_status check_views(void *ctx, ex_error *err)
{
    ex_view_status view, first = {0}, parking = {0};
    uint32_t failed = 0;
    for (uint32_t i = 0; ex_runtime_view_status(ctx, i, &view); i++) {
        if (view.parked && !parking.parked)
            parking = view;
        if (view.state == EX_VIEW_ERROR && failed++ == 0)
            first = view;
    }
    if (failed == 0 && parking.parked)
        return ex_raise(err, EX_EAGAIN, "view '%s' has left out %llu events: see 'views parked %s'",
                        parking.name, (unsigned long long)parking.parked, parking.name);
    if (failed == 0)
        return EX_OK;
    return ex_raise(err, EX_EAGAIN, "%u of the views stand still; '%s' at position %llu: %s",
                    failed, first.name, (unsigned long long)first.position, first.error);
}

/* Worth telling, too: what queries need. A server whose connections are all in use is busy, not
 * ill. */
static ex_status check_queries(void *ctx, ex_error *err)
{
    return views_check(ctx, err);
}

static ex_status start_runtime(server *s, ex_error *err)
{
    if (!s->application.app)
        return EX_OK;
    ex_runtime_options options = s->settings->runtime;
    options.dir = s->place;
    options.metrics = s->metrics;
    options.report = report;
    options.slow_statement_ms = s->settings->store.slow_ms;
    options.leases = s->leases;
    ex_status status = ex_runtime_start(s->store, s->application.app, &options, &s->runtime, err);
    if (status)
        return ex_error_context(err, status, "application %s", s->application.app->name);
    const ex_health_check checks[] = {
        {.name = "views", .run = check_views, .ctx = s->runtime, .is_minor = true},
        {.name = "queries", .run = check_queries, .ctx = s->runtime, .is_minor = true}};
    status = ex_health_add(s->health, &checks[0], err);
    return status ? status : ex_health_add(s->health, &checks[1], err);
}

static void stop_runtime(server *s)
{
    (void)ex_health_remove(s->health, "views"); /* not there without an application */
    (void)ex_health_remove(s->health, "queries");
    ex_runtime_stop(s->runtime);
}

/* What /openapi.json answers. */
static ex_status describe_api(server *s, ex_error *err)
{
    openapi_source source = {.app = s->application.app, .version = app_version()};
    ex_buf document;
    ex_buf_init(&document, 0);
    api_routes(s->api, &source.routes, &source.route_count);
    openapi_write(&source, &document);
    ex_status status = ex_buf_status(&document);
    if (status)
        (void)ex_raise(err, status, "no memory for the OpenAPI document");
    else
        status = api_set_openapi(s->api, ex_buf_slice(&document), err);
    ex_buf_done(&document);
    return status;
}

static ex_status start_api(server *s, ex_error *err)
{
    api_options options = s->settings->api;
    options.store = s->store;
    options.runtime = s->runtime;
    options.metrics = s->metrics;
    options.health = s->health;
    options.nodes_url = ex_pg_is_url(s->place) ? s->place : NULL;
    options.shows_causes = s->settings->env == ENV_DEVELOPMENT || s->settings->env == ENV_TEST;
    options.version = app_version();
    options.commit = app_commit();
    ex_status status = api_new(&options, &s->api, err);
    return status ? status : describe_api(s, err);
}

static void stop_api(server *s)
{
    api_free(s->api);
}

static ex_status start_http(server *s, ex_error *err)
{
    http_options options = s->settings->http;
    options.metrics = s->metrics;
    const http_route *routes = NULL;
    size_t count = 0;
    api_routes(s->api, &routes, &count);
    return http_server_start(&options, routes, count, &s->http, err);
}

/* api.h says why in this order. */
static void stop_http(server *s)
{
    if (!s->http)
        return;
    ex_health_drain(s->health);
    http_server_drain(s->http, (uint32_t)s->settings->shutdown_timeout_ms);
    api_stop(s->api);
    http_server_stop(s->http);
}

typedef struct part {
    const char *name;
    ex_status (*start)(server *s, ex_error *err);
    void (*stop)(server *s); /* also when start failed half way */
} part;

static const part parts[] = {
    {"log", start_log, stop_log},
    {"place", find_place, forget_place},
    {"metrics", start_metrics, stop_metrics},
    {"health", start_health, stop_health},
    {"application", start_application, stop_application},
    {"store", start_store, stop_store},
    {"node", start_node, stop_node},
    {"runtime", start_runtime, stop_runtime},
    {"api", start_api, stop_api},
    {"http", start_http, stop_http},
};

#define PART_COUNT (sizeof(parts) / sizeof(parts[0]))

static void stop_parts(server *s, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        EX_LOG(EX_LOG_DEBUG, "stopping", ex_f_cstr("part", parts[i - 1].name));
        parts[i - 1].stop(s);
    }
}

static ex_status start_parts(server *s, ex_error *err)
{
    for (size_t i = 0; i < PART_COUNT; i++) {
        ex_status status = parts[i].start(s, err);
        if (status) {
            stop_parts(s, i + 1);
            return status;
        }
        EX_LOG(EX_LOG_DEBUG, "started", ex_f_cstr("part", parts[i].name));
    }
    return EX_OK;
}

/* ---- Signals ---- */

static void own_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGHUP);
    sigaddset(ret, SIGUSR1);
}

/* Before any thread is started, so that every one of them inherits it. */
static void block_signals(void)
{
    sigset_t set;
    own_signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* fails only for a bad first argument */
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    (void)sigaction(SIGPIPE, &ignore, NULL); /* cannot fail */
    (void)sigaction(SIGXFSZ, &ignore, NULL); /* a limit on file sizes is a failing write, no end */
}

static void reopen_log(void)
{
    ex_error err = {0};
    if (ex_log_reopen(&err))
        ex_log_error(EX_LOG_ERROR, "the log file cannot be reopened, the old one stays in use",
                     &err);
    else
        EX_LOG(EX_LOG_INFO, "log reopened");
}

/* Between debug and the level of the configuration; info when that is debug itself (R-01-38). */
static void toggle_debug(const settings *s)
{
    ex_log_level level = EX_LOG_DEBUG;
    const char *name = "debug";
    if (ex_log_is_enabled(EX_LOG_DEBUG)) {
        (void)ex_log_level_parse(ex_str(s->log.level_name), &level); /* another word means info */
        bool is_debug = level == EX_LOG_DEBUG;
        level = is_debug ? EX_LOG_INFO : level;
        name = is_debug ? "info" : s->log.level_name;
    }
    ex_log_set_level(level);
    EX_LOG(EX_LOG_INFO, "log level changed", ex_f_cstr("log_level", name));
}

static int wait_for_end(const settings *s)
{
    sigset_t set;
    int number = 0;
    own_signals(&set);
    for (;;) {
        if (sigwait(&set, &number) != 0)
            continue;
        if (number == SIGHUP)
            reopen_log();
        else if (number == SIGUSR1)
            toggle_debug(s);
        else
            return number;
    }
}

static void end_at_once(int number)
{
    (void)number;
    _exit(1);
}

/* From here on the second SIGINT or SIGTERM no longer waits for anything. */
static void arm_second_signal(void)
{
    sigset_t set;
    own_signals(&set);
    sigdelset(&set, SIGHUP);
    sigdelset(&set, SIGUSR1);
    const struct sigaction action = {.sa_handler = end_at_once};
    (void)sigaction(SIGINT, &action, NULL); /* cannot fail */
    (void)sigaction(SIGTERM, &action, NULL);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- The end ---- */

#define LATE_MS  400 /* past shutdown_timeout: what waits for PostgreSQL gives up */
#define FORCE_MS 800 /* and whoever is still there is not waited for */

/* A database that does not answer, or a handler that does not end, must not keep the process. What
 * was acknowledged is stored; what was not may or may not be, as after kill -9. */
static void bound_the_end(server *s)
{
    uint64_t now_ns = ex_monotonic_ns(ex_clock_system());
    uint64_t end_ns = now_ns + (s->settings->shutdown_timeout_ms + LATE_MS) * 1000000;
    ex_store_end_by(s->store, end_ns);
    ex_leases_end_by(s->leases, end_ns);
    api_end_by(s->api, end_ns);
    if (s->runtime)
        ex_runtime_end_by(s->runtime, end_ns);
    last_resort_start(&s->last_resort, s->settings->shutdown_timeout_ms + FORCE_MS);
}

/* ---- Life ---- */

/* Every connection is a descriptor: take as many as the system lets us have. */
static void raise_descriptor_limit(const settings *s)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit); /* what there is has to do */
        (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < s->http.connection_limit)
        EX_LOG(EX_LOG_WARN, "fewer descriptors than server.connection_limit",
               ex_f_u64("descriptors", limit.rlim_cur),
               ex_f_u64("connection_limit", s->http.connection_limit));
}

/* Whoever reaches it by another name is answered 421: better read here first. */
static void tell_hosts(const settings *s)
{
    bool is_local = strcmp(s->http.host, "localhost") == 0 || strcmp(s->http.host, "::1") == 0 ||
                    strncmp(s->http.host, "127.", 4) == 0;
    if (!is_local && !*s->http.hosts)
        EX_LOG(EX_LOG_INFO, "requests must name this machine or an address in Host; further names "
                            "belong in server.hosts");
}

static void put_address(const server *s, char *out, size_t size)
{
    const char *host = s->settings->http.host;
    const char *is_v6 = strchr(host, ':');
    (void)snprintf(out, size, "http://%s%s%s:%u", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                   (unsigned)http_server_port(s->http)); /* cut is fine: for people */
}

static void ready_line(const server *s, const char *address, char *out, size_t size)
{
    const settings *t = s->settings;
    char place[EX_PG_PLACE_SIZE];
    (void)snprintf(out, size, "serving %s (data %s, durability %s%s%s, pid %ld)", address,
                   ex_pg_show_place(t->data, place), ex_store_durability(s->store),
                   s->application.app ? ", application " : "",
                   s->application.app ? s->application.app->name : "", (long)getpid());
}

ex_status serve_run(const settings *s, const ex_app *app, serve_ready_fn *ready, void *ctx,
                    ex_error *err)
{
    server self = {.settings = s, .application = {.app = app}};
    char line[1024], address[300], place[EX_PG_PLACE_SIZE];
    block_signals();
    ex_status status = start_parts(&self, err);
    if (status)
        return status;
    raise_descriptor_limit(s);
    put_address(&self, address, sizeof(address));
    ex_leases_set_address(self.leases, address);
    ready_line(&self, address, line, sizeof(line));
    tell_hosts(s);
    EX_LOG(EX_LOG_INFO, "ready", ex_f_cstr("host", s->http.host),
           ex_f_u64("port", http_server_port(self.http)),
           ex_f_cstr("data", ex_pg_show_place(s->data, place)),
           ex_f_u64("head", ex_store_head(self.store)), ex_f_cstr("version", app_version()),
           ex_f_cstr("commit", app_commit()));
    ready(ctx, line);

    int number = wait_for_end(s);
    arm_second_signal();
    EX_LOG(EX_LOG_INFO, "shutting down", ex_f_cstr("signal", strsignal(number)));
    bound_the_end(&self);
    stop_parts(&self, PART_COUNT);
    last_resort_stop(&self.last_resort);
    return EX_OK;
}
