/* conn.c: a connection: which protocol it speaks, its output, its time-outs, its end.
 *
 *   SNIFF ──► OPEN ──► LINGER ──► CLOSED
 *     └─────────┴─────────┴──────────┘ (broken, timed out, server stops)
 *
 * LINGER exists because closing a socket with unread input makes the kernel
 * send a reset, which can destroy the answer before the client reads it. */
#include "api/http/room.h"

#include <assert.h>

static const char h2_preface[] = NGHTTP2_CLIENT_MAGIC;
_Static_assert(sizeof(h2_preface) - 1 == NGHTTP2_CLIENT_MAGIC_LEN, "24 bytes");

#define FLUSH_ROUNDS 8

void conn_init(http_conn *c, http_core *core, const conn_transport *transport)
{
    unsigned char key[BUDGET_KEY_BYTES];
    c->core = core;
    c->transport = transport;
    bool has_key = transport->address_key && transport->address_key(c, key);
    c->account = budget_open(&core->shared->budget, has_key ? key : NULL);
    link_push(&core->conns, &c->link);
    core->conn_count++;
    conn_set_timeout(c, TIMEOUT_IDLE);
    ex_gauge_add(core->shared->metrics.connections, 1);
    ex_counter_add(core->shared->metrics.connections_total, 1);
}

/* Compare with the preface; what has matched need not be kept: it is the preface's own text. */
static void sniff(http_conn *c, ex_slice in)
{
    if (c->sniffed == 0)
        conn_set_timeout(c, TIMEOUT_HEADER);
    size_t seen = c->sniffed, at = 0;
    while (at < in.len && seen + at < NGHTTP2_CLIENT_MAGIC_LEN &&
           in.ptr[at] == h2_preface[seen + at])
        at++;
    bool is_whole = seen + at == NGHTTP2_CLIENT_MAGIC_LEN;
    if (!is_whole && at == in.len) {
        c->sniffed = (uint8_t)(seen + at);
        return;
    }
    c->protocol = is_whole ? &http2_protocol : &http1_protocol;
    c->state = CONN_OPEN;
    if (seen)
        c->protocol->input(c, ex_slice_of(h2_preface, seen));
    if (c->state == CONN_OPEN)
        c->protocol->input(c, in);
}

void conn_input(http_conn *c, ex_slice in)
{
    ex_counter_add(c->core->shared->metrics.received_bytes, in.len);
    if (!c->account) {
        conn_lost(c); /* there was no memory for it */
        return;
    }
    if (in.len == 0 || c->wants_close || c->state >= CONN_LINGER)
        return;
    if (c->state == CONN_SNIFF)
        sniff(c, in);
    else
        c->protocol->input(c, in);
}

void conn_eof(http_conn *c)
{
    c->has_eof = true;
    if (c->state == CONN_OPEN && !c->wants_close)
        c->protocol->eof(c);
    else if (c->state != CONN_OPEN)
        conn_lost(c);
}

void conn_lost(http_conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    http_core *core = c->core;
    bool was_open = c->state == CONN_OPEN;
    c->state = CONN_CLOSED;
    timer_stop(&c->timer);
    timer_stop(&c->write_timer);
    if (was_open)
        c->protocol->lost(c);
    output_clear(&c->out, &core->blocks);
    conn_count(c);
    budget_unref(c->account);
    c->account = NULL;
    link_remove(&c->dirty);
    link_remove(&c->link);
    core->conn_count--;
    ex_gauge_add(core->shared->metrics.connections, -1);
    c->transport->close(c);
}

void conn_mark_dirty(http_conn *c)
{
    if (!link_is_listed(&c->dirty) && c->state != CONN_CLOSED)
        link_push(&c->core->dirty, &c->dirty);
}

size_t conn_unsent(const http_conn *c)
{
    return c->out.bytes + c->transport->queued(c);
}

void conn_put(http_conn *c, ex_slice bytes)
{
    output_put(&c->out, &c->core->blocks, bytes);
}

void conn_put_str(http_conn *c, const char *text)
{
    output_put_str(&c->out, &c->core->blocks, text);
}

void conn_close_after_output(http_conn *c)
{
    c->wants_close = true;
    timer_stop(&c->timer);
    conn_mark_dirty(c);
}

static uint64_t accepted_bytes(const http_conn *c)
{
    return c->given_bytes - c->transport->unacked(c);
}

static void watch_writing(http_conn *c)
{
    if (conn_unsent(c) == 0) {
        timer_stop(&c->write_timer);
    } else if (!timer_is_running(&c->write_timer)) {
        c->write_strikes = 0;
        c->write_mark = accepted_bytes(c);
        timer_start(&c->core->timeouts[TIMEOUT_WRITE], &c->write_timer, c->core->now_ms);
    }
}

static void finish(http_conn *c)
{
    if (c->has_eof) {
        conn_lost(c);
        return;
    }
    if (c->protocol && c->state == CONN_OPEN)
        c->protocol->lost(c);
    c->state = CONN_LINGER;
    conn_count(c);
    c->transport->set_reading(c, true);
    c->transport->shutdown(c);
    conn_set_timeout(c, TIMEOUT_LINGER);
}

void conn_flush(http_conn *c)
{
    int rounds = 0;
    for (; rounds < FLUSH_ROUNDS && c->state <= CONN_OPEN; rounds++) {
        if (c->protocol)
            c->protocol->wake(c);
        size_t had = c->out.bytes;
        if (c->state > CONN_OPEN)
            return;
        if (c->out.has_failed || !c->transport->flush(c)) {
            conn_lost(c);
            return;
        }
        if (c->protocol)
            c->protocol->drained(c);
        if (had == 0 || c->out.bytes > 0)
            break;
    }
    if (c->state > CONN_OPEN)
        return;
    if (rounds == FLUSH_ROUNDS)
        conn_mark_dirty(c); /* others first */
    watch_writing(c);
    conn_count(c);
    if (conn_unsent(c) == 0 && c->wants_close)
        finish(c);
}

/* ---- Time-outs ---- */

void conn_set_timeout(http_conn *c, int kind)
{
    timer_start(&c->core->timeouts[kind], &c->timer, c->core->now_ms);
}

void conn_timed_out(http_timer *t, int kind)
{
    http_conn *c = LINK_OWNER(t, http_conn, timer);
    if (c->state == CONN_OPEN)
        c->protocol->timed_out(c, kind);
    else
        conn_lost(c);
}

void conn_write_timed_out(http_timer *t)
{
    http_conn *c = LINK_OWNER(t, http_conn, write_timer);
    uint64_t accepted = accepted_bytes(c);
    bool has_progress = accepted != c->write_mark;
    c->write_strikes = has_progress ? 0 : (uint8_t)(c->write_strikes + 1);
    c->write_mark = accepted;
    if (c->write_strikes >= 2)
        conn_lost(c);
    else
        timer_start(&c->core->timeouts[TIMEOUT_WRITE], t, c->core->now_ms);
}

void conn_read_later(http_conn *c)
{
    timer_start(&c->core->timeouts[TIMEOUT_DISCARD], &c->write_timer, c->core->now_ms);
}

void conn_discard_timed_out(http_timer *t)
{
    http_conn *c = LINK_OWNER(t, http_conn, write_timer); /* all is written */
    c->transport->set_reading(c, true);
}
