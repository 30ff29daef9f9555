/* log_check.c: one pass over the log, then one over each stream. */
#include "support/log_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/map.h"

#define MARK "append/"

struct log_check {
    ex_map acknowledged; /* 16 bytes of id -> position as a pointer, 0 as NO_POSITION */
};

/* The map cannot hold NULL for "no position". */
#define NO_POSITION UINTPTR_MAX

static void need(bool ok)
{
    if (!ok) {
        fprintf(stderr, "log_check: out of memory\n");
        abort();
    }
}

static ex_slice id_key(const ex_id *id)
{
    return ex_slice_of(id->bytes, sizeof id->bytes);
}

log_check *log_check_new(void)
{
    log_check *c = calloc(1, sizeof *c);
    need(c != NULL);
    ex_map_init(&c->acknowledged, 0);
    return c;
}

void log_check_free(log_check *c)
{
    if (c == NULL)
        return;
    ex_map_done(&c->acknowledged, NULL);
    free(c);
}

ex_slice log_check_mark(char out[LOG_CHECK_MARK_SIZE], const char *name, unsigned count)
{
    int n = snprintf(out, LOG_CHECK_MARK_SIZE, MARK "%s/%u", name, count);
    return ex_slice_of(out, (size_t)n);
}

void log_check_acknowledged(log_check *c, const ex_id *id, uint64_t position)
{
    uintptr_t value = position != 0 ? (uintptr_t)position : NO_POSITION;
    need(ex_map_put(&c->acknowledged, id_key(id), (void *)value, NULL) == EX_OK);
}

size_t log_check_count(const log_check *c)
{
    return c->acknowledged.count;
}

/* ---- One pass over the log ---- */

typedef struct pass {
    const log_check *check;
    log_check_result *result;
    ex_map streams; /* name -> last version */
    ex_map ids;     /* stream and id -> anything */
    uint64_t position;
    int64_t recorded_at_us;
    size_t acknowledged_seen;
    char mark[EX_CORRELATION_MAX + 1]; /* of the append that is being read; "" when none */
    unsigned mark_left;                /* events of it that are still to come */
} pass;

static bool wrong(pass *p, const char *fmt, ...) EX_PRINTF(2, 3);
static bool wrong(pass *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(p->result->fault, sizeof p->result->fault, fmt, args);
    va_end(args);
    return false;
}

static bool check_order(pass *p, const ex_event *e)
{
    if (e->position != p->position + 1)
        return wrong(p, "position %" PRIu64 " follows %" PRIu64, e->position, p->position);
    if (e->recorded_at_us < p->recorded_at_us)
        return wrong(p, "the time steps back at position %" PRIu64, e->position);
    p->position = e->position;
    p->recorded_at_us = e->recorded_at_us;
    return true;
}

static bool check_version(pass *p, const ex_event *e)
{
    uint64_t before = (uint64_t)(uintptr_t)ex_map_get(&p->streams, e->stream);
    if (e->version != before + 1)
        return wrong(p, "position %" PRIu64 ": version %" PRIu64 " of '%.*s' follows %" PRIu64,
                     e->position, e->version, EX_ARG(e->stream), before);
    need(ex_map_put(&p->streams, e->stream, (void *)(uintptr_t)e->version, NULL) == EX_OK);
    return true;
}

static bool check_id(pass *p, const ex_event *e)
{
    char key[EX_STREAM_NAME_MAX + sizeof e->id.bytes];
    memcpy(key, e->id.bytes, sizeof e->id.bytes);
    memcpy(key + sizeof e->id.bytes, e->stream.ptr, e->stream.len);
    void *old = NULL;
    ex_slice whole = ex_slice_of(key, sizeof e->id.bytes + e->stream.len);
    need(ex_map_put(&p->ids, whole, p, &old) == EX_OK);
    if (old != NULL)
        return wrong(p, "position %" PRIu64 ": its id is in '%.*s' twice", e->position,
                     EX_ARG(e->stream));
    uintptr_t told = (uintptr_t)ex_map_get(&p->check->acknowledged, id_key(&e->id));
    if (told == 0)
        return true;
    p->acknowledged_seen++;
    if (told != NO_POSITION && told != e->position)
        return wrong(p, "position %" PRIu64 ": its client was told %" PRIu64, e->position,
                     (uint64_t)told);
    return true;
}

static bool check_no_append_is_open(pass *p)
{
    if (p->mark_left != 0)
        return wrong(p, "%u events of '%s' are missing at position %" PRIu64, p->mark_left, p->mark,
                     p->position);
    return true;
}

/* COUNT of "append/NAME/COUNT"; 0 when it is no mark. */
static unsigned mark_count(const char *mark)
{
    if (strncmp(mark, MARK, strlen(MARK)) != 0)
        return 0;
    return (unsigned)strtoul(strrchr(mark, '/') + 1, NULL, 10);
}

static bool check_mark(pass *p, const ex_event *e)
{
    char mark[sizeof p->mark];
    snprintf(mark, sizeof mark, "%.*s", EX_ARG(e->correlation_id));
    if (p->mark_left != 0 && strcmp(mark, p->mark) == 0) {
        p->mark_left--;
        return true;
    }
    if (!check_no_append_is_open(p))
        return false;
    unsigned count = mark_count(mark);
    if (count == 0)
        return true;
    if (strcmp(mark, p->mark) == 0)
        return wrong(p, "position %" PRIu64 ": '%s' has too many events", e->position, mark);
    memcpy(p->mark, mark, sizeof mark);
    p->mark_left = count - 1;
    p->result->appends++;
    return true;
}

static bool read_log(pass *p, ex_store *s)
{
    ex_read_log read = {0};
    ex_cursor *cursor = NULL;
    ex_event e;
    ex_error err = {0};
    bool ok = true;
    ex_status status = ex_store_read_log(s, &read, &cursor, &err);
    while (ok && status == EX_OK && (status = ex_cursor_next(cursor, &e, &err)) == EX_OK)
        ok = check_order(p, &e) && check_version(p, &e) && check_mark(p, &e) && check_id(p, &e);
    ex_cursor_close(cursor);
    if (!ok)
        return false;
    if (status != EX_EEND)
        return wrong(p, "reading the log: %s", err.message);
    p->result->events = p->position;
    return check_no_append_is_open(p);
}

static bool read_stream(pass *p, ex_store *s, ex_slice name, uint64_t last)
{
    ex_read_stream read = {.stream = name};
    ex_cursor *cursor = NULL;
    ex_event e;
    ex_error err = {0};
    uint64_t version = 0;
    uint64_t asked = 0;
    ex_status status = ex_store_read_stream(s, &read, &cursor, &err);
    while (status == EX_OK && (status = ex_cursor_next(cursor, &e, &err)) == EX_OK) {
        if (e.version != ++version)
            break;
    }
    ex_cursor_close(cursor);
    if (status == EX_EEND)
        status = ex_store_stream_version(s, name, &asked, &err);
    if (status != EX_OK || version != last || asked != last)
        return wrong(p,
                     "stream '%.*s': the log has %" PRIu64 " events, reading it %" PRIu64
                     ", its version is %" PRIu64 " (%s)",
                     EX_ARG(name), last, version, asked, err.message);
    return true;
}

static bool read_streams(pass *p, ex_store *s)
{
    size_t at = 0;
    ex_slice name;
    void *version;
    while (ex_map_next(&p->streams, &at, &name, &version)) {
        p->result->streams++;
        if (!read_stream(p, s, name, (uint64_t)(uintptr_t)version))
            return false;
    }
    return true;
}

static bool check_whole(pass *p, ex_store *s)
{
    size_t told = p->check->acknowledged.count;
    if (p->acknowledged_seen != told)
        return wrong(p, "%zu of %zu acknowledged events are lost", told - p->acknowledged_seen,
                     told);
    if (ex_store_head(s) != p->position)
        return wrong(p, "the head is %" PRIu64 ", the last event %" PRIu64, ex_store_head(s),
                     p->position);
    return true;
}

bool log_check_run(const log_check *c, ex_store *s, log_check_result *ret)
{
    memset(ret, 0, sizeof *ret);
    pass p = {.check = c, .result = ret};
    ex_map_init(&p.streams, 0);
    ex_map_init(&p.ids, 0);
    bool ok = read_log(&p, s) && check_whole(&p, s) && read_streams(&p, s);
    ex_map_done(&p.streams, NULL);
    ex_map_done(&p.ids, NULL);
    return ok;
}
