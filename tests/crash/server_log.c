/* server_log.c: see server_log.h. */
#include "crash/server_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash/server_run.h"
#include "kernel/map.h"

#define PAGE_LIMIT_BYTES ((size_t)64 << 20)
#define ROOM_FIRST       4096

typedef struct log_entry {
    uint64_t hash;
    uint64_t version;
    uint64_t attempt;   /* 0: not one of ours */
    const char *stream; /* the name in `names` */
    char id[EX_ID_TEXT_SIZE];
} log_entry;

struct server_log {
    server_orders *orders;
    log_entry *entries; /* of position 1, 2, … */
    uint64_t head;
    uint64_t room;
    ex_arena names;
    ex_map streams;        /* name -> position of its last event */
    ex_map ids;            /* stream, blank, id -> position */
    ex_map attempts;       /* number as text -> position of its first event */
    uint64_t open_attempt; /* of the last event */
    unsigned open_left;    /* events of it that are to come */
};

server_log *server_log_new(server_orders *orders)
{
    server_log *log = calloc(1, sizeof *log);
    run_need(log != NULL);
    log->orders = orders;
    ex_arena_init(&log->names, (size_t)1 << 30);
    ex_map_init(&log->streams, 0);
    ex_map_init(&log->ids, 0);
    ex_map_init(&log->attempts, 0);
    return log;
}

void server_log_free(server_log *log)
{
    if (!log)
        return;
    ex_map_done(&log->streams, NULL);
    ex_map_done(&log->ids, NULL);
    ex_map_done(&log->attempts, NULL);
    ex_arena_done(&log->names);
    free(log->entries);
    free(log);
}

/* ---- Positions as values of maps ---- */

static uint64_t get(const ex_map *m, ex_slice key)
{
    return (uint64_t)(uintptr_t)ex_map_get(m, key);
}

static void put(ex_map *m, ex_slice key, uint64_t position)
{
    run_need(ex_map_put(m, key, (void *)(uintptr_t)position, NULL) == EX_OK);
}

static ex_slice number_key(uint64_t number, char out[24])
{
    return ex_slice_of(out, (size_t)snprintf(out, 24, "%" PRIu64, number));
}

/* ---- One event ---- */

static void check_version(server_log *log, log_entry *e, ex_slice stream)
{
    uint64_t last = get(&log->streams, stream);
    uint64_t before = last ? log->entries[last - 1].version : 0;
    if (e->version != before + 1)
        run_fail("position %" PRIu64 ": event %s of '%.*s' has version %" PRIu64
                 ", the one before has %" PRIu64,
                 log->head + 1, e->id, EX_ARG(stream), e->version, before);
    if (last) {
        e->stream = log->entries[last - 1].stream;
    } else {
        e->stream = ex_arena_printf(&log->names, "%.*s", EX_ARG(stream)).ptr;
        run_need(e->stream != NULL);
    }
    put(&log->streams, stream, log->head + 1);
}

static void check_id(server_log *log, const log_entry *e)
{
    char key[EX_ID_TEXT_SIZE + 64];
    ex_slice whole = ex_slice_of(key, (size_t)snprintf(key, sizeof key, "%s %s", e->stream, e->id));
    uint64_t before = get(&log->ids, whole);
    if (before)
        run_fail("event %s is in '%s' twice, at the positions %" PRIu64 " and %" PRIu64, e->id,
                 e->stream, before, log->head + 1);
    put(&log->ids, whole, log->head + 1);
}

static void begin_attempt(server_log *log, uint64_t number, unsigned count)
{
    char key[24];
    ex_slice k = number_key(number, key);
    uint64_t before = get(&log->attempts, k);
    if (before)
        run_fail("attempt %" PRIu64 " took effect twice: at the positions %" PRIu64 " and %" PRIu64
                 " (or with events of others between its own)",
                 number, before, log->head + 1);
    put(&log->attempts, k, log->head + 1);
    log->open_attempt = number;
    log->open_left = count;
}

static void check_is_whole(const server_log *log)
{
    if (log->open_left)
        run_fail("attempt %" PRIu64 " is there in part: %u of its events are missing after "
                 "position %" PRIu64,
                 log->open_attempt, log->open_left, log->head);
}

static void check_mark(server_log *log, log_entry *e, ex_slice correlation_id)
{
    char text[64];
    uint64_t number = 0;
    unsigned count = 0;
    snprintf(text, sizeof text, "%.*s", EX_ARG(correlation_id));
    if (sscanf(text, "append%*1[./]%" SCNu64 "%*1[./]%u", &number, &count) != 2 || !number ||
        !count)
        run_fail("position %" PRIu64 ": event %s carries no mark of ours but '%s'", log->head + 1,
                 e->id, text);
    e->attempt = number;
    if (log->open_left == 0 || log->open_attempt != number) {
        check_is_whole(log);
        begin_attempt(log, number, count);
    }
    log->open_left--;
}

static log_entry *next_entry(server_log *log)
{
    if (log->head == log->room) {
        log->room = log->room ? log->room * 2 : ROOM_FIRST;
        log->entries = realloc(log->entries, log->room * sizeof *log->entries);
        run_need(log->entries != NULL);
    }
    log_entry *e = &log->entries[log->head];
    memset(e, 0, sizeof *e);
    return e;
}

static void add(server_log *log, const ex_json *json)
{
    uint64_t position = run_number(json, "position");
    if (position != log->head + 1)
        run_fail("position %" PRIu64 " follows %" PRIu64, position, log->head);
    log_entry *e = next_entry(log);
    e->hash = ex_hash(json->raw);
    e->version = run_number(json, "version");
    snprintf(e->id, sizeof e->id, "%.*s", EX_ARG(run_text(json, "id")));
    check_version(log, e, run_text(json, "stream"));
    check_id(log, e);
    check_mark(log, e, run_text(json, "correlation_id"));
    log->head++;
    server_orders_apply(log->orders, json);
}

/* ---- Pages ---- */

typedef void event_fn(void *ctx, const ex_json *event);

/* Calls `fn` for all events after a position; returns the server's head. */
static uint64_t read_pages(uint16_t port, uint64_t after, event_fn *fn, void *ctx)
{
    http_client client;
    bool has_more = true;
    uint64_t head = 0;
    if (!http_client_open(&client, port))
        run_fail("no connection for reading the log");
    while (has_more) {
        char path[64];
        http_reply r;
        ex_arena arena;
        ex_arena_init(&arena, PAGE_LIMIT_BYTES);
        snprintf(path, sizeof path, "/v1/events?after=%" PRIu64 "&limit=1000", after);
        if (!http_client_call(&client, "GET", path, NULL, EX_S(""), &r) || r.status != 200)
            run_fail("GET %s: status %d %.*s", path, r.status, EX_ARG(ex_buf_slice(&r.body)));
        ex_json page = run_json(ex_buf_slice(&r.body), &arena);
        const ex_json *events = run_array(&page, "events");
        for (uint32_t i = 0; i < events->count; i++)
            fn(ctx, &events->as.items[i]);
        after = run_number(&page, "next");
        head = run_number(&page, "head");
        has_more = ex_json_get(&page, EX_S("has_more"))->as.boolean;
        http_reply_done(&r);
        ex_arena_done(&arena);
    }
    http_client_close(&client);
    return head;
}

static void add_event(void *ctx, const ex_json *event)
{
    add(ctx, event);
}

void server_log_read(server_log *log, uint16_t port)
{
    uint64_t head = read_pages(port, log->head, add_event, log);
    check_is_whole(log);
    if (head != log->head)
        run_fail("the server's head is %" PRIu64 ", its last event has %" PRIu64, head, log->head);
}

typedef struct second_pass {
    const server_log *log;
    uint64_t position;
} second_pass;

static void compare_event(void *ctx, const ex_json *event)
{
    second_pass *p = ctx;
    uint64_t position = run_number(event, "position");
    if (position != ++p->position || position > p->log->head ||
        ex_hash(event->raw) != p->log->entries[position - 1].hash)
        run_fail("where position %" PRIu64 " was read before as event %s, there is now %.*s",
                 p->position,
                 p->position <= p->log->head ? p->log->entries[p->position - 1].id : "none",
                 EX_ARG(event->raw));
}

void server_log_read_again(const server_log *log, uint16_t port)
{
    second_pass p = {.log = log};
    (void)read_pages(port, 0, compare_event, &p); /* the head was compared by server_log_read */
    if (p.position != log->head)
        run_fail("%" PRIu64 " events of %" PRIu64 " are left", p.position, log->head);
}

/* ---- Questions ---- */

uint64_t server_log_head(const server_log *log)
{
    return log->head;
}

uint64_t server_log_version(const server_log *log, const char *stream)
{
    uint64_t last = get(&log->streams, ex_str(stream));
    return last ? log->entries[last - 1].version : 0;
}

uint64_t server_log_hash(const server_log *log, uint64_t position)
{
    return log->entries[position - 1].hash;
}

bool server_log_has(const server_log *log, uint64_t attempt_number)
{
    char key[24];
    return get(&log->attempts, number_key(attempt_number, key)) != 0;
}

static void check_event(const server_log *log, const attempt *a, uint32_t i)
{
    const char *id = a->answer.events[i].id;
    uint64_t position = a->answer.events[i].position, version = a->answer.events[i].version;
    if (a->events[i].id[0] && strcmp(id, a->events[i].id) != 0)
        run_fail("%s: event %u was sent as %s and answered as %s", attempt_text(a), i,
                 a->events[i].id, id);
    if (position == 0 || position > log->head)
        run_fail("%s: event %s was acknowledged at position %" PRIu64 "; the log ends at %" PRIu64,
                 attempt_text(a), id, position, log->head);
    const log_entry *e = &log->entries[position - 1];
    if (strcmp(e->id, id) != 0 || strcmp(e->stream, a->events[i].stream) != 0 ||
        e->version != version || e->attempt != a->number)
        run_fail("%s: event %s was acknowledged at position %" PRIu64 " as version %" PRIu64
                 " of '%s'; there is event %s, version %" PRIu64 " of '%s', of attempt %" PRIu64,
                 attempt_text(a), id, position, version, a->events[i].stream, e->id, e->version,
                 e->stream, e->attempt);
}

void server_log_check(const server_log *log, const attempt *a)
{
    const attempt_answer *answer = &a->answer;
    if (a->state == ATTEMPT_OPEN)
        return; /* all or nothing of it is there: checked by reading */
    if (a->state != ATTEMPT_DONE) {
        if (server_log_has(log, a->number))
            run_fail("%s was answered %d %s, and its events are in the log", attempt_text(a),
                     answer->status, answer->code);
        return;
    }
    if (answer->event_count != a->event_count)
        run_fail("%s: %u events were acknowledged of %u", attempt_text(a), answer->event_count,
                 a->event_count);
    for (uint32_t i = 0; i < answer->event_count; i++)
        check_event(log, a, i);
    if (answer->position != answer->events[answer->event_count - 1].position ||
        answer->version != answer->events[answer->event_count - 1].version)
        run_fail("%s: position %" PRIu64 " and version %" PRIu64 " are not its last event's",
                 attempt_text(a), answer->position, answer->version);
}
