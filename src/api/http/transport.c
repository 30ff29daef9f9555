/* transport.c: connections over libuv.
 *
 * All connections of a loop read into one buffer, so an idle one holds no
 * memory but its struct. Output goes out with uv_try_write before the loop
 * sleeps; only what the kernel does not take is handed to uv_write, whole
 * blocks at a time. */
#include "api/http/transport.h"

#include "kernel/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define WRITE_BLOCKS   64
#define LISTEN_BACKLOG 1024
#define DISCARD_BYTES  ((size_t)64 << 20)
#define REFUSING_CONNECTIONS                                                                       \
    256 /* how many beyond the limit are told so before they are closed                            \
         */

typedef struct uv_conn {
    http_conn conn;
    http_shard *shard;
    uv_tcp_t tcp;
    uv_write_t write;
    output inflight; /* owned by uv_write while is_writing */
    bool is_writing;
} uv_conn;

static uv_conn *uv_conn_of(const http_conn *c)
{
    return LINK_OWNER(c, uv_conn, conn);
}

static void set_now(http_shard *s)
{
    s->core.now_ms = uv_now(ex_loop_uv(s->loop));
}

/* ---- Reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    uv_conn *uc = handle->data;
    *buf = uv_buf_init(uc->shard->read_buffer, READ_BUFFER_BYTES);
}

/* Of a body that was refused there may be megabytes more: they are not copied, and looked for now
 * and then only, for others wait meanwhile. */
static void discard(uv_conn *uc)
{
    int fd = -1;
    if (uv_fileno((uv_handle_t *)&uc->tcp, &fd) ||
        recv(fd, NULL, DISCARD_BYTES, MSG_TRUNC | MSG_DONTWAIT) < (ssize_t)READ_BUFFER_BYTES)
        return;                                  /* an end shows when libuv reads */
    (void)uv_read_stop((uv_stream_t *)&uc->tcp); /* always succeeds */
    conn_read_later(&uc->conn);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    uv_conn *uc = stream->data;
    if (n == 0 || uc->conn.state == CONN_CLOSED)
        return;
    set_now(uc->shard);
    if (n > 0 && uc->conn.state == CONN_LINGER)
        discard(uc);
    else if (n > 0)
        conn_input(&uc->conn, ex_slice_of(buf->base, (size_t)n));
    else if (n == UV_EOF)
        conn_eof(&uc->conn);
    else
        conn_lost(&uc->conn);
}

static void set_reading(http_conn *c, bool on)
{
    uv_stream_t *stream = (uv_stream_t *)&uv_conn_of(c)->tcp;
    if (!on)
        (void)uv_read_stop(stream); /* always succeeds */
    else if (!c->has_eof)
        (void)uv_read_start(stream, on_alloc, on_read); /* fails when it is reading or closing */
}

/* ---- Writing ---- */

static unsigned gather(const output *o, uv_buf_t bufs[WRITE_BLOCKS])
{
    unsigned n = 0;
    for (output_block *b = o->head; b && n < WRITE_BLOCKS; b = b->next)
        bufs[n++] = uv_buf_init(b->data + b->start, (unsigned)(b->end - b->start));
    return n;
}

static void on_written(uv_write_t *req, int status)
{
    uv_conn *uc = req->data;
    uc->is_writing = false;
    output_clear(&uc->inflight, &uc->shard->core.blocks);
    if (uc->conn.state == CONN_CLOSED)
        return;
    set_now(uc->shard);
    if (status < 0)
        conn_lost(&uc->conn);
    else
        conn_mark_dirty(&uc->conn);
}

static void given(uv_conn *uc, size_t n)
{
    uc->conn.given_bytes += n;
    ex_counter_add(uc->shard->shared->metrics.sent_bytes, n);
}

static bool flush(http_conn *c)
{
    uv_conn *uc = uv_conn_of(c);
    output_pool *blocks = &c->core->blocks;
    uv_buf_t bufs[WRITE_BLOCKS];
    while (c->out.bytes && !uc->is_writing) {
        unsigned n = gather(&c->out, bufs);
        int sent = uv_try_write((uv_stream_t *)&uc->tcp, bufs, n);
        if (sent < 0 && sent != UV_EAGAIN)
            return false;
        if (sent > 0) {
            given(uc, (size_t)sent);
            output_drop(&c->out, blocks, (size_t)sent);
            continue;
        }
        output_move(&c->out, &uc->inflight, WRITE_BLOCKS);
        n = gather(&uc->inflight, bufs);
        uc->write.data = uc;
        if (uv_write(&uc->write, (uv_stream_t *)&uc->tcp, bufs, n, on_written))
            return false;
        uc->is_writing = true;
        given(uc, uc->inflight.bytes);
    }
    return true;
}

static size_t queued(const http_conn *c)
{
    const uv_conn *uc = uv_conn_of(c);
    return uc->is_writing ? uv_stream_get_write_queue_size((const uv_stream_t *)&uc->tcp) : 0;
}

/* Also what the kernel still holds: a client may read for a long time before it takes more. */
static size_t unacked(const http_conn *c)
{
    int fd = -1, in_kernel = 0;
    if (uv_fileno((const uv_handle_t *)&uv_conn_of(c)->tcp, &fd) ||
        ioctl(fd, SIOCOUTQ, &in_kernel) || in_kernel < 0)
        in_kernel = 0;
    return queued(c) + (size_t)in_kernel;
}

/* ---- Ending ---- */

static void shut_down(http_conn *c)
{
    int fd = -1;
    if (uv_fileno((uv_handle_t *)&uv_conn_of(c)->tcp, &fd) == 0)
        (void)shutdown(fd, SHUT_WR); /* the client may have gone: then reading tells */
}

static void on_closed(uv_handle_t *handle)
{
    uv_conn *uc = handle->data;
    output_clear(&uc->inflight, &uc->shard->core.blocks);
    atomic_fetch_sub_explicit(&uc->shard->shared->connections, 1, memory_order_relaxed);
    free(uc);
}

static void close_conn(http_conn *c)
{
    uv_close((uv_handle_t *)&uv_conn_of(c)->tcp, on_closed);
}

static ex_slice peer(const http_conn *c, char *out, size_t size)
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    char ip[46] = "";
    uint16_t port = 0;
    if (uv_tcp_getpeername(&uv_conn_of(c)->tcp, (struct sockaddr *)&a, &len))
        return ex_slice_of(out, 0);
    if (a.ss_family == AF_INET6) {
        (void)uv_ip6_name((struct sockaddr_in6 *)&a, ip, sizeof(ip)); /* "" when it does not fit */
        port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    } else {
        (void)uv_ip4_name((struct sockaddr_in *)&a, ip, sizeof(ip)); /* the same */
        port = ntohs(((struct sockaddr_in *)&a)->sin_port);
    }
    int n = snprintf(out, size, a.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", ip, port);
    return ex_slice_of(out, n > 0 && (size_t)n < size ? (size_t)n : 0);
}

/* An IPv4 address, or what one customer has of IPv6: the first 64 bits. */
static bool address_key(const http_conn *c, unsigned char key[BUDGET_KEY_BYTES])
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    memset(key, 0, BUDGET_KEY_BYTES);
    if (c->core->shared->options.address_percent >= 100 ||
        uv_tcp_getpeername(&uv_conn_of(c)->tcp, (struct sockaddr *)&a, &len))
        return false;
    if (a.ss_family == AF_INET) {
        memcpy(key + 12, &((struct sockaddr_in *)&a)->sin_addr, 4);
        return true;
    }
    const struct in6_addr *ip = &((struct sockaddr_in6 *)&a)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(ip))
        memcpy(key + 12, ip->s6_addr + 12, 4);
    else
        memcpy(key, ip->s6_addr, 8);
    return true;
}

static const conn_transport uv_transport = {
    .flush = flush,
    .queued = queued,
    .unacked = unacked,
    .set_reading = set_reading,
    .shutdown = shut_down,
    .close = close_conn,
    .peer = peer,
    .address_key = address_key,
};

/* ---- Accepting ---- */

static void refuse(http_conn *c)
{
    static const char body[] =
        "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"
        "\"detail\":\"too many connections\",\"code\":\"OVERLOADED\"}";
    conn_put_str(c, "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
                    "retry-after: 1\r\nconnection: close\r\ncontent-length: ");
    output_put_u64(&c->out, &c->core->blocks, sizeof(body) - 1);
    conn_put_str(c, "\r\n\r\n");
    conn_put_str(c, body);
    conn_close_after_output(c);
}

static void close_at_once(uv_conn *uc)
{
    uv_close((uv_handle_t *)&uc->tcp, on_closed);
}

static void begin(http_shard *s, uv_conn *uc)
{
    uint32_t limit = s->shared->options.connection_limit;
    uint32_t had = atomic_fetch_add_explicit(&s->shared->connections, 1, memory_order_relaxed);
    if (uv_accept((uv_stream_t *)&s->listener, (uv_stream_t *)&uc->tcp) ||
        had >= limit + REFUSING_CONNECTIONS) {
        ex_counter_add(s->shared->metrics.connections_refused, had >= limit);
        close_at_once(uc);
        return;
    }
    (void)uv_tcp_nodelay(&uc->tcp, 1); /* without it answers only come later */
    conn_init(&uc->conn, &s->core, &uv_transport);
    if (!uc->conn.account || uv_read_start((uv_stream_t *)&uc->tcp, on_alloc, on_read)) {
        conn_lost(&uc->conn);
        return;
    }
    if (had < limit)
        return;
    ex_counter_add(s->shared->metrics.connections_refused, 1);
    refuse(&uc->conn);
}

static void on_connection(uv_stream_t *listener, int status)
{
    http_shard *s = listener->data;
    set_now(s);
    uv_conn *uc = status == 0 ? calloc(1, sizeof(*uc)) : NULL;
    if (!uc) {
        EX_LOG(EX_LOG_WARN, "connection not accepted",
               ex_f_cstr("error", status ? uv_strerror(status) : "out of memory"));
        return;
    }
    uc->shard = s;
    (void)uv_tcp_init(ex_loop_uv(s->loop), &uc->tcp); /* cannot fail without a socket */
    uc->tcp.data = uc;
    begin(s, uc);
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static void on_before_sleep(uv_prepare_t *handle)
{
    http_shard *s = handle->data;
    set_now(s);
    bool has_more = http_core_flush(&s->core);
    if (has_more != (uv_is_active((uv_handle_t *)&s->no_sleep) != 0)) {
        if (has_more)
            (void)uv_idle_start(&s->no_sleep, on_idle);
        else
            (void)uv_idle_stop(&s->no_sleep); /* neither can fail on an open handle */
    }
    if (s->is_ending)
        s->on_quiet(s);
}

static void on_tick(uv_timer_t *timer)
{
    http_shard *s = timer->data;
    http_core_tick(&s->core, uv_now(ex_loop_uv(s->loop)));
}

int shard_open(http_shard *s)
{
    uv_loop_t *uv = ex_loop_uv(s->loop);
    int rc;
    if ((rc = uv_prepare_init(uv, &s->before_sleep)) || (rc = uv_idle_init(uv, &s->no_sleep)) ||
        (rc = uv_timer_init(uv, &s->tick)))
        return rc; /* none of them can fail in libuv 1.x */
    s->before_sleep.data = s;
    s->no_sleep.data = s;
    s->tick.data = s;
    uint64_t period_ms = http_core_tick_ms(&s->core);
    (void)uv_prepare_start(&s->before_sleep, on_before_sleep); /* callbacks are not NULL */
    (void)uv_timer_start(&s->tick, on_tick, period_ms, period_ms);
    set_now(s);
    return 0;
}

static int set_shared_port(uv_tcp_t *tcp)
{
    int fd = -1, on = 1;
    int rc = uv_fileno((uv_handle_t *)tcp, &fd);
    if (rc)
        return rc;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) ? uv_translate_sys_error(errno)
                                                                     : 0;
}

int shard_listen(http_shard *s, const struct sockaddr *address, bool is_shared)
{
    int rc = uv_tcp_init_ex(ex_loop_uv(s->loop), &s->listener, address->sa_family);
    if (rc)
        return rc;
    s->listener.data = s;
    s->is_listening = true;
    if ((is_shared && (rc = set_shared_port(&s->listener))) ||
        (rc = uv_tcp_bind(&s->listener, address, 0)))
        return rc;
    return uv_listen((uv_stream_t *)&s->listener, LISTEN_BACKLOG, on_connection);
}

int shard_port(const http_shard *s, uint16_t *ret)
{
    struct sockaddr_storage a;
    int len = sizeof(a);
    int rc = uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &len);
    if (rc == 0)
        *ret = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                             : ((struct sockaddr_in *)&a)->sin_port);
    return rc;
}

void shard_stop_listening(http_shard *s)
{
    if (s->is_listening)
        uv_close((uv_handle_t *)&s->listener, NULL);
    s->is_listening = false;
}

void shard_close(http_shard *s)
{
    assert(s->core.conn_count == 0);
    shard_stop_listening(s);
    uv_close((uv_handle_t *)&s->before_sleep, NULL);
    uv_close((uv_handle_t *)&s->no_sleep, NULL);
    uv_close((uv_handle_t *)&s->tick, NULL);
}
