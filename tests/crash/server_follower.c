/* server_follower.c: see server_follower.h. */
#include "crash/server_follower.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash/server_run.h"
#include "kernel/map.h"

#define ROOM_FIRST 1024

void server_follower_done(server_follower *f)
{
    free(f->hashes);
    *f = (server_follower){0};
}

static void note(server_follower *f, const http_event *e)
{
    if (!e->id[0])
        return; /* connected, caught-up, heartbeat */
    uint64_t position = strtoull(e->id, NULL, 10);
    if (position != f->last + 1)
        run_fail("the follower saw position %" PRIu64 " after %" PRIu64 ": %.*s", position, f->last,
                 EX_ARG(ex_buf_slice(&e->data)));
    size_t count = position - f->checked;
    if (count > f->room) {
        f->room = f->room ? f->room * 2 : ROOM_FIRST;
        f->hashes = realloc(f->hashes, f->room * sizeof *f->hashes);
        run_need(f->hashes != NULL);
    }
    f->hashes[count - 1] = ex_hash(ex_buf_slice(&e->data));
    f->last = position;
}

/* Until `head` was seen or the connection ended; false when there was no stream at all. */
static bool follow(server_follower *f, uint64_t head)
{
    http_client client;
    http_reply r = {0};
    http_event e = {0};
    char headers[96];
    snprintf(headers, sizeof headers, "Accept: text/event-stream\r\nLast-Event-ID: %" PRIu64 "\r\n",
             f->last);
    bool is_open = http_client_open(&client, f->port) &&
                   http_client_request(&client, "GET", "/v1/events", headers, EX_S("")) &&
                   http_client_begin_stream(&client, &r) && r.status == 200;
    while (is_open && f->last < head && http_client_next_event(&client, &e))
        note(f, &e);
    http_event_done(&e);
    http_reply_done(&r);
    http_client_close(&client);
    return is_open;
}

static void *follow_on(void *arg)
{
    (void)follow(arg, UINT64_MAX); /* a server that was killed before it answered is fine */
    return NULL;
}

void server_follower_start(server_follower *f, uint16_t port)
{
    f->port = port;
    if (pthread_create(&f->thread, NULL, follow_on, f) != 0)
        run_fail("no thread for the follower");
}

void server_follower_join(server_follower *f)
{
    pthread_join(f->thread, NULL);
}

void server_follower_catch_up(server_follower *f, uint16_t port, uint64_t head)
{
    f->port = port;
    if (!follow(f, head) || f->last != head)
        run_fail("the follower came to position %" PRIu64 ", the log to %" PRIu64, f->last, head);
}

void server_follower_check(server_follower *f, const server_log *log)
{
    if (f->last > server_log_head(log))
        run_fail("the follower saw position %" PRIu64 ", the log ends at %" PRIu64, f->last,
                 server_log_head(log));
    for (size_t i = 0; f->checked < f->last; i++) {
        f->checked++;
        if (f->hashes[i] != server_log_hash(log, f->checked))
            run_fail("the follower saw another event at position %" PRIu64 " than the log has",
                     f->checked);
    }
}
