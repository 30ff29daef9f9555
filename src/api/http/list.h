/* list.h: an intrusive circular list; a zeroed link is in no list. */
#ifndef EXCORE_API_HTTP_LIST_H
#define EXCORE_API_HTTP_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct http_link {
    struct http_link *prev;
    struct http_link *next;
} http_link;

#define LINK_OWNER(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void link_init_head(http_link *head)
{
    head->prev = head->next = head;
}

static inline bool link_is_listed(const http_link *l)
{
    return l->next != NULL;
}

static inline bool link_is_empty(const http_link *head)
{
    return head->next == head;
}

static inline void link_remove(http_link *l)
{
    if (!l->next)
        return;
    l->prev->next = l->next;
    l->next->prev = l->prev;
    l->prev = l->next = NULL;
}

static inline void link_push(http_link *head, http_link *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

/* Move all of `from` to the empty head `to`. */
static inline void link_take(http_link *from, http_link *to)
{
    link_init_head(to);
    if (link_is_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    link_init_head(from);
}

#endif
