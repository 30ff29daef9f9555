/* fault_run.c: the work that is done while things fail, and what must hold afterwards. */
#include "fault_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>

#define TRIES_MAX  4 /* after the fault: a connection may have to be replaced first */
#define LARGE_MAX  ((size_t)1000 * 1000)
#define SMALL_SIZE 10

/* A failure while the fault lasts. */
static void check_refusal(const fault_run *r, const char *what, ex_status status,
                          const ex_error *err)
{
    if (!ex_status_is_retryable(status))
        fail_msg("%s: %s: %s: %s", r->where, what, ex_status_code(status), err->message);
}

/* ---- Appends: one or several events, one or two streams; all follows from the number ---- */

typedef struct numbered_append {
    ex_append append;
    ex_stream_write writes[2];
    ex_new_event events[FAULT_EVENTS_MAX];
    char mark[LOG_CHECK_MARK_SIZE];
    uint32_t count;
} numbered_append;

static void make_append(const fault_run *r, unsigned number, numbered_append *a)
{
    static char data[LARGE_MAX];
    static const ex_slice tags[2] = {EX_S_INIT("a:1"), EX_S_INIT("b:2")};
    static const ex_slice types[3] = {EX_S_INIT("First"), EX_S_INIT("Second"), EX_S_INIT("Third")};
    char name[16];
    assert_true(r->large_bytes <= sizeof data);
    memset(a, 0, sizeof *a);
    snprintf(name, sizeof name, "%u", number);
    a->count = 1 + number % FAULT_EVENTS_MAX;
    ex_slice mark = log_check_mark(a->mark, name, a->count);
    for (uint32_t i = 0; i < a->count; i++)
        a->events[i] =
            (ex_new_event){.type = types[number % 3],
                           .data = ex_slice_of(data, number % 2 ? r->large_bytes : SMALL_SIZE),
                           .content_type = EX_S("application/octet-stream"),
                           .id = {.bytes = {0xEC, (uint8_t)number, (uint8_t)i}},
                           .tags = tags,
                           .tag_count = number % 3,
                           .correlation_id = mark};
    uint32_t in_first = a->count == 4 ? 2 : a->count;
    a->writes[0] = (ex_stream_write){.stream = number % 2 ? EX_S("odd") : EX_S("even"),
                                     .events = a->events,
                                     .event_count = in_first};
    a->writes[1] = (ex_stream_write){.stream = EX_S("other"),
                                     .events = a->events + in_first,
                                     .event_count = a->count - in_first};
    a->append = (ex_append){.writes = a->writes, .write_count = in_first < a->count ? 2 : 1};
}

static ex_status append(fault_run *r, unsigned number)
{
    numbered_append a;
    ex_appended appended = {.events = r->refs[number], .event_room = FAULT_EVENTS_MAX};
    ex_error err = {0};
    make_append(r, number, &a);
    ex_status status = ex_store_append(r->store, &a.append, &appended, &err);
    if (status != EX_OK) {
        if (status != EX_EOUTCOME) /* it is repeated with the same ids */
            check_refusal(r, "append", status, &err);
        r->refused++;
        return status;
    }
    assert_int_equal(appended.event_count, a.count);
    r->counts[number] = a.count;
    r->is_done[number] = true;
    return EX_OK;
}

/* ---- Reading: may fail while the fault lasts, but what it gives is right ---- */

static void read_log(fault_run *r)
{
    static const ex_slice type = EX_S_INIT("Second");
    static const ex_query_item item = {.types = &type, .type_count = 1};
    static const ex_filter filter = {.query = {&item, 1}};
    for (int filtered = 0; filtered <= 1; filtered++) {
        ex_read_log read = {.filter = filtered ? &filter : NULL};
        ex_cursor *cursor = NULL;
        ex_event e;
        ex_error err = {0};
        uint64_t last = 0;
        ex_status status = ex_store_read_log(r->store, &read, &cursor, &err);
        while (status == EX_OK && (status = ex_cursor_next(cursor, &e, &err)) == EX_OK) {
            assert_true(filtered ? e.position > last : e.position == last + 1);
            assert_true(!filtered || ex_slice_eq(e.type, type));
            last = e.position;
        }
        ex_cursor_close(cursor);
        if (status != EX_EEND)
            check_refusal(r, "read the log", status, &err);
    }
}

static void read_stream(fault_run *r)
{
    ex_read_stream read = {.stream = EX_S("odd"), .direction = EX_BACKWARD};
    ex_cursor *cursor = NULL;
    ex_event e;
    ex_error err = {0};
    uint64_t version = 0;
    ex_status status = ex_store_stream_version(r->store, read.stream, &version, &err);
    if (status == EX_OK)
        status = ex_store_read_stream(r->store, &read, &cursor, &err);
    while (status == EX_OK && (status = ex_cursor_next(cursor, &e, &err)) == EX_OK)
        assert_int_equal(e.version, version--);
    if (status == EX_EEND)
        assert_int_equal(version, 0);
    ex_cursor_close(cursor);
    if (status != EX_EEND)
        check_refusal(r, "read a stream", status, &err);
}

/* Take what there is; EX_ETIMEOUT when that was all. */
static ex_status follow(fault_run *r, ex_error *err)
{
    ex_status status = EX_OK;
    if (r->follower == NULL)
        status = ex_store_subscribe(r->store, &(ex_subscribe){.after = r->seen}, &r->follower, err);
    while (status == EX_OK) {
        ex_event e;
        status = ex_subscription_next(r->follower, 0, &e, err);
        if (status == EX_OK)
            assert_int_equal(e.position, ++r->seen);
    }
    return status;
}

/* ---- The life ---- */

void fault_run_begin(fault_run *r)
{
    r->dir = temp_dir_make_fast();
}

static ex_status open_with(fault_run *r, const char *vfs)
{
    /* a ring for some of the small events: followers go to the log now and then */
    ex_store_options options = {.in_memory = r->in_memory,
                                .ring_limit_bytes = 4000,
                                .reader_limit = 2,
                                .queue_limit = 16,
                                .outcome_wait_ms = 1};
    /* checkpoints in the middle of a run with large events */
    store_internals internals = {.sqlite_vfs = vfs, .checkpoint_pages = 500};
    ex_error err = {0};
    ex_status status =
        store_open_with(r->in_memory ? NULL : r->dir.path, &options, &internals, &r->store, &err);
    if (status != EX_OK) {
        assert_null(r->store);
        check_refusal(r, "open", status, &err);
    }
    return status;
}

ex_status fault_run_open(fault_run *r)
{
    return open_with(r, r->vfs);
}

void fault_run_use(fault_run *r)
{
    for (unsigned i = 0; i < FAULT_APPENDS; i++) {
        ex_error err = {0};
        (void)append(r, i); /* a refusal is checked there */
        if (i % 3 == 2)
            read_log(r);
        if (i % 3 == 1)
            read_stream(r);
        ex_status status = follow(r, &err);
        if (status != EX_ETIMEOUT)
            check_refusal(r, "follow", status, &err);
    }
}

static void check_log(fault_run *r, const char *when)
{
    log_check *check = log_check_new();
    log_check_result result;
    for (unsigned i = 0; i < FAULT_APPENDS; i++) {
        for (uint32_t k = 0; r->is_done[i] && k < r->counts[i]; k++)
            log_check_acknowledged(check, &r->refs[i][k].id, r->refs[i][k].position);
    }
    if (!log_check_run(check, r->store, &result))
        fail_msg("%s: %s: %s", r->where, when, result.fault);
    log_check_free(check);
}

static void repeat_refused(fault_run *r)
{
    for (unsigned i = 0; i < FAULT_APPENDS; i++) {
        ex_status status = r->is_done[i] ? EX_OK : EX_EAGAIN;
        for (int tries = 0; status != EX_OK && tries < TRIES_MAX; tries++)
            status = append(r, i);
        if (status != EX_OK)
            fail_msg("%s: append %u is still refused after the fault: %s", r->where, i,
                     ex_status_code(status));
    }
}

void fault_run_recover(fault_run *r)
{
    ex_error err = {0};
    if (r->store == NULL && fault_run_open(r) != EX_OK)
        fail_msg("%s: it does not open after the fault", r->where);
    check_log(r, "right after the fault");
    repeat_refused(r);
    ex_status status = follow(r, &err);
    if (status != EX_ETIMEOUT || r->seen != ex_store_head(r->store))
        fail_msg("%s: the follower saw %" PRIu64 " of %" PRIu64 ": %s", r->where, r->seen,
                 ex_store_head(r->store), err.message);
    check_log(r, "after repeating");
}

void fault_run_close(fault_run *r)
{
    ex_subscription_close(r->follower);
    ex_store_close(r->store);
    r->follower = NULL;
    r->store = NULL;
}

void fault_run_end(fault_run *r)
{
    if (!r->in_memory) {
        if (open_with(r, NULL) != EX_OK)
            fail_msg("%s: it does not open again", r->where);
        check_log(r, "after reopening");
        ex_store_close(r->store);
    }
    temp_dir_remove(&r->dir);
}
