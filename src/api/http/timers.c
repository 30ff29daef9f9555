/* timers.c: one list for each kind of time-out, oldest first. */
#include "api/http/timers.h"

void timer_list_init(timer_list *l, uint64_t duration_ms, void (*expired)(http_timer *t))
{
    link_init_head(&l->head);
    l->duration_ms = duration_ms;
    l->expired = expired;
}

void timer_start(timer_list *l, http_timer *t, uint64_t now_ms)
{
    link_remove(&t->link);
    t->deadline_ms = now_ms + l->duration_ms;
    link_push(&l->head, &t->link);
}

void timer_stop(http_timer *t)
{
    link_remove(&t->link);
}

void timer_list_tick(timer_list *l, uint64_t now_ms)
{
    while (!link_is_empty(&l->head)) {
        http_timer *t = LINK_OWNER(l->head.next, http_timer, link);
        if (t->deadline_ms > now_ms)
            break;
        link_remove(&t->link);
        l->expired(t);
    }
}
