/* watch.c: the list of watchers, and the public calls over the store's own list. */
#include "store/watch.h"

#include <assert.h>

#include "store/live.h"

void watch_init(watch_list *l)
{
    pthread_mutex_init(&l->mu, NULL); /* default attributes: cannot fail on Linux */
    l->first = NULL;
}

void watch_done(watch_list *l)
{
    assert(l->first == NULL);
    pthread_mutex_destroy(&l->mu);
}

void watch_add(watch_list *l, ex_watcher *w)
{
    assert(w->wake != NULL);
    pthread_mutex_lock(&l->mu);
    w->prev = NULL;
    w->next = l->first;
    if (l->first != NULL)
        l->first->prev = w;
    l->first = w;
    pthread_mutex_unlock(&l->mu);
}

void watch_remove(watch_list *l, ex_watcher *w)
{
    pthread_mutex_lock(&l->mu);
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        l->first = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    w->prev = w->next = NULL;
    pthread_mutex_unlock(&l->mu);
}

void watch_wake(watch_list *l, uint64_t head)
{
    pthread_mutex_lock(&l->mu);
    for (ex_watcher *w = l->first; w != NULL; w = w->next)
        w->wake(w, head);
    pthread_mutex_unlock(&l->mu);
}

void ex_store_watch(ex_store *s, ex_watcher *w)
{
    watch_add(&store_live_of(s)->watchers, w);
}

void ex_store_unwatch(ex_store *s, ex_watcher *w)
{
    watch_remove(&store_live_of(s)->watchers, w);
}
