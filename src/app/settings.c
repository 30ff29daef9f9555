/* settings.c: THE table of configuration keys.
 *
 *   X(key, type, default, least, most, choices, field of settings, help [, other variable])
 *
 * Texts without a range say 0, 0. A range that begins at 1 also keeps a zero
 * from meaning "default" in an options structure. */
#include "app/settings.h"

#include "api/http/guard.h"
#include "sql/postgres/pg_url.h"

#include <inttypes.h>
#include <stdlib.h>

#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* A duration whose field holds seconds. */
#define EX_CONFIG_SECONDS EX_CONFIG_DURATION

/* clang-format off */
#define SETTINGS_MAP(X)                                                                                              \
    X("service.env", ENUM, "development", 0, 0, "development|staging|production|test", env,                           \
      "development, test: answers with 500 carry the cause; production: a PostgreSQL elsewhere needs TLS (sslmode=require or stronger)")                \
    X("server.host", STRING, "127.0.0.1", 0, 0, NULL, http.host,                                                     \
      "address to listen on; 0.0.0.0 or :: is every address")                                                        \
    X("server.hosts", STRING, "", 0, 0, NULL, http.hosts,                                                            \
      "names in Host that it answers to, besides addresses, localhost and server.host; with commas; *: any")         \
    X("server.port", INT, "8080", 0, 65535, NULL, http.port, "port to listen on; 0 picks a free one")                 \
    X("server.loops", INT, "1", 1, 64, NULL, http.loops, "loop threads that own the connections")                    \
    X("server.header_limit", BYTES, "64KiB", KIB, MIB, NULL, http.header_limit_bytes,                                \
      "request line and headers together; more is answered with 431")                                                \
    X("server.header_count_limit", INT, "100", 1, 10000, NULL, http.header_count_limit, "headers of a request")      \
    X("server.body_limit", BYTES, "4MiB", KIB, GIB, NULL, http.body_limit_bytes,                                     \
      "body of a request; more is answered with 413")                                                                \
    X("server.header_timeout", DURATION, "10s", 1, HOUR, NULL, http.header_timeout_ms,                               \
      "from the first byte of a request to the end of its headers")                                                  \
    X("server.body_timeout", DURATION, "30s", 1, HOUR, NULL, http.body_timeout_ms,                                   \
      "from the end of the headers to the end of the body")                                                          \
    X("server.idle_timeout", DURATION, "60s", 1, DAY, NULL, http.idle_timeout_ms,                                    \
      "between two requests of a connection")                                                                        \
    X("server.write_timeout", DURATION, "30s", 1, HOUR, NULL, http.write_timeout_ms,                                 \
      "a client that accepts no byte for so long is closed")                                                         \
    X("server.connection_limit", INT, "10000", 1, 1000000, NULL, http.connection_limit,                              \
      "open connections; further ones get 503 and are closed")                                                       \
    X("server.inflight_limit", INT, "4096", 1, 1000000, NULL, http.inflight_limit,                                   \
      "requests not yet answered; further ones get 503")                                                             \
    X("server.output_limit", BYTES, "1MiB", 16 * KIB, GIB, NULL, http.output_limit_bytes,                            \
      "output waiting for one slow client")                                                                          \
    X("server.memory_limit", BYTES, "64MiB", MIB, 1024 * GIB, NULL, http.memory_limit_bytes,                         \
      "requests and answers in memory, of all clients; raised to four bodies")                                       \
    X("server.address_share", INT, "75", 1, 100, NULL, http.address_percent,                                         \
      "percent of it that one client address may hold; 100 behind a proxy: all of it")                               \
    X("server.connection_memory", BYTES, "16MiB", MIB, 1024 * GIB, NULL, http.connection_memory_bytes,               \
      "the same for one connection, in bytes; raised to four bodies")                                                \
    X("server.h2_streams_limit", INT, "128", 1, 10000, NULL, http.h2_streams_limit,                                  \
      "requests at once on an HTTP/2 connection")                                                                    \
    X("server.shutdown_timeout", DURATION, "30s", 0, HOUR, NULL, shutdown_timeout_ms,                                \
      "at the end, wait so long for requests in progress")                                                           \
    X("api.reader_threads", INT, "4", 1, 256, NULL, api.reader_threads, "threads for pages, queries, catching up")   \
    X("api.reader_queue_limit", INT, "1024", 1, 1000000, NULL, api.reader_queue_limit,                               \
      "reads waiting for such a thread; further ones get 503")                                                       \
    X("api.page_timeout", DURATION, "5s", 1, HOUR, NULL, api.page_timeout_ms,                                        \
      "a page is short when its events are looked for longer; its `next` leads on")                                  \
    X("api.page_limit", BYTES, "4MiB", 64 * KIB, GIB, NULL, api.page_limit_bytes,                                    \
      "a page of events ends early above it")                                                                        \
    X("api.stream_page_events", INT, "1000", 1, 100000, NULL, api.stream_page_events,                                \
      "events of a page of a stream unless limit= says otherwise")                                                   \
    X("api.log_page_events", INT, "100", 1, 100000, NULL, api.log_page_events, "the same for the log")               \
    X("api.page_events_limit", INT, "1000", 1, 100000, NULL, api.page_events_limit, "the most that limit= may ask for") \
    X("api.sse_connection_limit", INT, "1000", 1, 1000000, NULL, api.sse_connection_limit,                           \
      "clients that follow events; further ones get 503")                                                            \
    X("api.sse_heartbeat", DURATION, "15s", 100, HOUR, NULL, api.sse_heartbeat_ms,                                   \
      "a heartbeat event is sent to a follower after so long a silence")                                             \
    X("api.min_position_timeout", DURATION, "5s", 1, HOUR, NULL, api.min_position_timeout_ms,                        \
      "longest wait of a read or query for min_position= or consistency=current; then 504")                                                         \
    X("store.data", STRING, "./data", 0, 0, NULL, data, "directory of the store, made when missing, or a postgres:// URL")                 \
    X("store.durability", ENUM, "full", 0, 0, "full|normal", store.durability,                                       \
      "full: acknowledged after fsync; normal: a power cut may take the last moments")                               \
    X("store.queue_limit", INT, "16384", 1, 10000000, NULL, store.queue_limit,                                       \
      "appends waiting for the sequencer; further ones get 503")                                                     \
    X("store.batch_limit", INT, "2048", 1, 1000000, NULL, store.batch_limit, "appends in one transaction")           \
    X("store.events_per_append", INT, "10000", 1, 100000, NULL, store.events_per_append, "events in one append")       \
    X("store.event_limit", BYTES, "1MiB", KIB, 512 * MIB, NULL, store.event_limit_bytes,                             \
      "data and metadata of one event")                                                                              \
    X("store.ring_limit", BYTES, "8MiB", 64 * KIB, GIB, NULL, store.ring_limit_bytes,                                \
      "recent events kept in memory for live readers")                                                               \
    X("store.reader_limit", INT, "8", 1, 1024, NULL, store.reader_limit, "open read connections; further readers wait") \
    X("store.slow_statement", DURATION, "200ms", 1, HOUR, NULL, store.slow_ms,                                       \
      "a statement on PostgreSQL or on the views that takes longer is logged, without its values")                   \
    X("store.page_cache", BYTES, "8MiB", 64 * KIB, GIB, NULL, store.page_cache_bytes,                                \
      "database pages cached for writing")                                                                           \
    X("store.command_ttl", SECONDS, "7d", SECOND, 3650 * DAY, NULL, store.command_ttl_s,                             \
      "how long the outcome of a command id is kept")                                                                \
    X("store.answer_timeout", DURATION, "20s", SECOND, HOUR, NULL, store.answer_timeout_ms,                          \
      "on PostgreSQL: an append or a read is answered within it, also when the database is not")                     \
    X("store.head_age_limit", DURATION, "5s", SECOND, HOUR, NULL, head_age_limit_ms,                                 \
      "on PostgreSQL: /health/ready is 503 when this node has not known for so long where the log ends")             \
    X("store.outcome_wait", DURATION, "10s", 1, 10 * MINUTE, NULL, store.outcome_wait_ms,                            \
      "asks so long whether a failed commit took effect, then answers OUTCOME_UNKNOWN")                              \
    X("runtime.app", STRING, "", 0, 0, NULL, app, "application to load, a shared object")                            \
    X("runtime.lease_time", DURATION, "10s", 100, HOUR, NULL, lease_ms,                                              \
      "on PostgreSQL: what a node that died was doing goes on elsewhere after it")                                   \
    X("runtime.state_cache", BYTES, "64MiB", MIB, 64 * GIB, NULL, runtime.state_cache_bytes,                         \
      "states of aggregates kept in memory")                                                                         \
    X("runtime.state_cache_count", INT, "100000", 1, 100000000, NULL, runtime.state_cache_count, "and how many")     \
    X("runtime.state_limit", BYTES, "4MiB", KIB, GIB, NULL, runtime.state_limit_bytes,                               \
      "one state; a larger one fails its command")                                                                   \
    X("runtime.decide_warning", DURATION, "100ms", 1, HOUR, NULL, runtime.decide_warn_ms,                            \
      "a decision that takes longer is logged")                                                                      \
    X("views.batch_events", INT, "1000", 1, 100000, NULL, runtime.view_batch_events, "events in one view transaction") \
    X("views.retry", DURATION, "1s", 1, MINUTE, NULL, runtime.view_retry_ms,                                         \
      "first wait after a failing view handler; doubles to 30 s")                                                    \
    X("views.attempts", INT, "3", 1, 1000000, NULL, runtime.view_attempts,                                           \
      "of an event at a handler that fails for good, then it is parked")                                             \
    X("views.parked_limit", INT, "1000", 1, 1000000, NULL, runtime.view_parked_limit,                                \
      "parked events of a view; at the limit it stops instead")                                                      \
    X("views.new_build", ENUM, "keep", 0, 0, "keep|rebuild", runtime.view_rebuilds_on_build,                         \
      "views whose rows another build of the application has written: kept, with a warning, or built anew")            \
    X("views.query_readers", INT, "4", 1, 256, NULL, runtime.query_readers, "read connections for queries")          \
    X("views.query_timeout", DURATION, "30s", 1, HOUR, NULL, runtime.query_timeout_ms,                               \
      "longest statement on the views; then the database ends it")                                                   \
    X("log.level", STRING, "info", 0, 0, NULL, log.level_name, "debug, info, warn, error or off", "LOG_LEVEL")                         \
    X("log.format", ENUM, "auto", 0, 0, "auto|json|pretty", log.format, "auto: pretty on a terminal, JSON otherwise") \
    X("log.output", STRING, "stderr", 0, 0, NULL, log.output, "stderr, stdout or a file (reopened on SIGHUP)")       \
    X("log.service_name", STRING, "excore", 0, 0, NULL, log.service_name, "service_name of every line", "SERVICE_NAME")

static const ex_config_key keys[] = {
#define KEY(key, kind, standard, least, most, choices, field, ...) \
    {key, EX_CONFIG_##kind, standard, least, most, choices, false, __VA_ARGS__},
    SETTINGS_MAP(KEY)
#undef KEY
};
/* clang-format on */

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

const ex_config_key *settings_keys(size_t *ret_count)
{
    *ret_count = KEY_COUNT;
    return keys;
}

/* ---- From texts to fields ---- */

_Static_assert(EX_DURABILITY_FULL == 0 && EX_DURABILITY_NORMAL == 1, "order of the choices");
_Static_assert(EX_LOG_AUTO == 0 && EX_LOG_JSON == 1 && EX_LOG_PRETTY == 2, "order of the choices");
_Static_assert(ENV_PRODUCTION == 2, "order of the choices");

#define READ_STRING(c, key)   ex_config_string(c, key)
#define READ_INT(c, key)      ex_config_int(c, key)
#define READ_BYTES(c, key)    ex_config_bytes(c, key)
#define READ_DURATION(c, key) ex_config_ms(c, key)
#define READ_SECONDS(c, key)  (ex_config_ms(c, key) / 1000)
#define READ_ENUM(c, key)     ex_config_int(c, key)

/* The ranges of the table keep every number inside its field. */
static void fill(settings *s, const ex_config *c)
{
#define FILL(key, kind, standard, least, most, choices, field, ...)                                \
    s->field = (__typeof__(s->field))READ_##kind(c, key);
    SETTINGS_MAP(FILL)
#undef FILL
}

/* ---- Faults that no single key shows ---- */

/* R-01-34 */
static void check_tls(const settings *s, ex_buf *faults)
{
    ex_pg_target target = {0};
    ex_error err = {0};
    if (s->env != ENV_PRODUCTION || !ex_pg_is_url(s->data))
        return;
    ex_status st = ex_pg_target_init(&target, s->data, &err);
    st = st ? st : ex_pg_target_check_tls(&target, &err);
    if (st)
        ex_buf_printf(faults, "store.data: %s\n", err.message);
    ex_pg_target_done(&target);
}

static void check_hosts(const settings *s, ex_buf *faults)
{
    guard g;
    ex_error err = {0};
    if (guard_init(&g, &s->http, &err))
        ex_buf_printf(faults, "server.hosts: %s\n", err.message);
    else
        guard_done(&g);
}

/* LOG_LEVEL is every program's, and may be a word of another one: that means info. */
static void check_log_level(const settings *s, ex_buf *faults)
{
    ex_log_level level;
    bool is_known = ex_log_level_parse(ex_str(s->log.level_name), &level);
    if (!is_known && ex_config_source_of(s->config, "log.level") != EX_CONFIG_ENV)
        ex_buf_printf(faults, "log.level: \"%s\" is not one of debug|info|warn|error|off\n",
                      s->log.level_name);
}

static void check(const settings *s, ex_buf *faults)
{
    check_log_level(s, faults);
    check_tls(s, faults);
    check_hosts(s, faults);
    if (!*s->data)
        ex_buf_printf(faults, "store.data: must not be empty\n");
    if (!*s->http.host)
        ex_buf_printf(faults, "server.host: must not be empty\n");
    if (!*s->log.output)
        ex_buf_printf(faults, "log.output: must not be empty\n");
    const struct {
        const char *name;
        uint32_t value;
    } defaults[] = {{"api.stream_page_events", s->api.stream_page_events},
                    {"api.log_page_events", s->api.log_page_events}};
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
        if (defaults[i].value > s->api.page_events_limit)
            ex_buf_printf(faults, "%s: %" PRIu32 " is above api.page_events_limit (%" PRIu32 ")\n",
                          defaults[i].name, defaults[i].value, s->api.page_events_limit);
    if (s->runtime.state_limit_bytes > s->runtime.state_cache_bytes)
        ex_buf_printf(
            faults, "runtime.state_limit: %" PRIu32 " is above runtime.state_cache (%" PRIu64 ")\n",
            s->runtime.state_limit_bytes, s->runtime.state_cache_bytes);
}

/* ---- Loading ---- */

/* LOG_PRETTY=1 (R-01-38) is weaker than EXCORE_LOG_FORMAT, stronger than the file. */
static void take_log_pretty(settings *s)
{
    const char *pretty = getenv("LOG_PRETTY");
    ex_config_source source = ex_config_source_of(s->config, "log.format");
    if (pretty && strcmp(pretty, "1") == 0 && source != EX_CONFIG_ENV && source != EX_CONFIG_FLAG)
        s->log.format = EX_LOG_PRETTY;
}

ex_status settings_load(const char *file, const ex_config_flag *flags, size_t flag_count,
                        settings *ret, ex_buf *ret_faults, ex_error *err)
{
    settings s = {0};
    static const char *const no_keys[] = {SETTINGS_ENV_URL, SETTINGS_ENV_CONFIG, NULL};
    const ex_config_sources sources = {.file = file,
                                       .flags = flags,
                                       .flag_count = flag_count,
                                       .env_ignored = no_keys,
                                       .keeps_faulty = true};
    ex_status status = ex_config_load(keys, KEY_COUNT, &sources, &s.config, ret_faults, err);
    if (!s.config)
        goto out;
    fill(&s, s.config);
    take_log_pretty(&s);
    check(&s, ret_faults); /* all faults at once, also those that no single key shows */
    if (status)
        goto out;
    if (ret_faults->len > 0) {
        status = ex_raise(err, EX_EINVAL, "the configuration is faulty");
        goto out;
    }
    *ret = s;
    s = (settings){0};
out:
    settings_done(&s);
    return status;
}

void settings_done(settings *s)
{
    if (!s)
        return;
    ex_config_free(s->config);
    *s = (settings){0};
}

/* ---- --listen ---- */

static ex_status copy_part(const char *what, const char *from, size_t len, char *to, size_t size,
                           ex_error *err)
{
    if (len == 0 || len >= size)
        return ex_raise(err, EX_EINVAL, "the %s is %s", what, len ? "too long" : "missing");
    memcpy(to, from, len);
    to[len] = '\0';
    return EX_OK;
}

ex_status settings_split_listen(const char *listen, char *host, size_t host_size, char *port,
                                size_t port_size, ex_error *err)
{
    ex_slice name = ex_str("127.0.0.1");
    const char *number = listen;
    const char *colon = strrchr(listen, ':');
    bool is_every = colon == listen;
    if (colon) {
        name = is_every ? ex_str("::") : ex_slice_of(listen, (size_t)(colon - listen));
        number = colon + 1;
    }
    if (name.len > 0 && name.ptr[0] == '[') {
        if (name.ptr[name.len - 1] != ']')
            return ex_raise(err, EX_EINVAL, "'%s' is not HOST:PORT", listen);
        name = ex_slice_of(name.ptr + 1, name.len - 2);
    } else if (!is_every && memchr(name.ptr, ':', name.len)) {
        return ex_raise(err, EX_EINVAL, "an IPv6 address stands in brackets: [%.*s]:%s",
                        EX_ARG(name), number);
    }
    if (strspn(number, "0123456789") != strlen(number))
        return ex_raise(err, EX_EINVAL, "'%s' is not HOST:PORT", listen);
    ex_status status = copy_part("port", number, strlen(number), port, port_size, err);
    if (status)
        return status;
    return copy_part("host", name.ptr, name.len, host, host_size, err);
}
