/* transport.h: the sockets of one loop thread: listening, connections, the flush before sleeping.
 */
#ifndef EXCORE_API_HTTP_TRANSPORT_H
#define EXCORE_API_HTTP_TRANSPORT_H

#include "api/http/conn.h"

#define READ_BUFFER_BYTES ((size_t)65536)

typedef struct http_shard http_shard;

/* One loop thread and what is on it. */
struct http_shard {
    /* immutable after start */
    ex_loop *loop;
    http_shared *shared;
    void (*on_quiet)(http_shard *s); /* loop thread: is_ending and a count has changed */
    void *owner;
    /* loop thread */
    http_core core;
    uv_tcp_t listener;
    uv_prepare_t before_sleep;
    uv_idle_t no_sleep; /* active while there is more to flush */
    uv_timer_t tick;
    bool is_listening;
    bool is_ending;
    size_t reported_conns; /* what the owner knows */
    size_t reported_exchanges;
    char read_buffer[READ_BUFFER_BYTES];
};

/** Loop thread. Start timers and, on success, nothing else: shard_listen follows.
 *  @return 0 or a libuv error */
int shard_open(http_shard *s);
/** Loop thread. @return 0 or a libuv error */
int shard_listen(http_shard *s, const struct sockaddr *address, bool is_shared);
/** Loop thread. The address it is bound to. */
int shard_port(const http_shard *s, uint16_t *ret);
void shard_stop_listening(http_shard *s);
/** Loop thread. No connection may be left. */
void shard_close(http_shard *s);

#endif
