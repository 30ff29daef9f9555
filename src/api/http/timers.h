/* timers.h: time-outs of connections and exchanges, thousands of them for one uv_timer.
 *
 * All time-outs of one kind last equally long, so a list in starting order is
 * also in expiry order: starting and stopping are O(1), and a tick looks only
 * at what has expired. Loop thread. */
#ifndef EXCORE_API_HTTP_TIMERS_H
#define EXCORE_API_HTTP_TIMERS_H

#include "api/http/list.h"

#include <stdint.h>

typedef struct http_timer {
    http_link link;
    uint64_t deadline_ms;
} http_timer;

typedef struct timer_list {
    http_link head;
    uint64_t duration_ms;
    void (*expired)(http_timer *t); /* t is stopped already and may be started again */
} timer_list;

void timer_list_init(timer_list *l, uint64_t duration_ms, void (*expired)(http_timer *t));
/** (Re)start, also from another list. */
void timer_start(timer_list *l, http_timer *t, uint64_t now_ms);
void timer_stop(http_timer *t);
static inline bool timer_is_running(const http_timer *t)
{
    return link_is_listed(&t->link);
}
/** Call `expired` for all that are due. */
void timer_list_tick(timer_list *l, uint64_t now_ms);

#endif
