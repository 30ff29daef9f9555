/* memory_log.c: appending to and cutting the arrays. */
#include "store/memory/memory_log.h"

#include <stdlib.h>

#define KEY_SIZE (sizeof(uint64_t) + 17)

void memory_log_init(memory_log *l)
{
    memset(l, 0, sizeof(*l));
    (void)pthread_rwlock_init(&l->lock, NULL); /* cannot fail on Linux */
    for (int i = 0; i < POSTINGS_KINDS; i++)
        ex_map_init(&l->lists[i], 0);
    ex_map_init(&l->ids, 0);
}

static void free_list(void *value)
{
    memory_list *list = value;
    free(list->positions);
    free(list);
}

void memory_log_done(memory_log *l)
{
    for (int i = 0; i < POSTINGS_KINDS; i++)
        ex_map_done(&l->lists[i], free_list);
    ex_map_done(&l->ids, NULL);
    for (uint64_t i = 0; i < l->event_count; i++)
        free(l->events[i]);
    free(l->events);
    (void)pthread_rwlock_destroy(&l->lock); /* nobody holds it */
}

/* ---- Lists ---- */

memory_list *memory_log_find(const memory_log *l, postings_kind kind, ex_slice name)
{
    return ex_map_get(&l->lists[kind], name);
}

static memory_list *find_or_make(memory_log *l, postings_kind kind, ex_slice name)
{
    memory_list *list = memory_log_find(l, kind, name);
    if (list)
        return list;
    list = calloc(1, sizeof(*list) + name.len);
    if (!list)
        return NULL;
    memcpy(list + 1, name.ptr, name.len);
    list->name = ex_slice_of(list + 1, name.len);
    if (ex_map_put(&l->lists[kind], name, list, NULL)) {
        free_list(list);
        return NULL;
    }
    return list;
}

static ex_status put_position(memory_log *l, postings_kind kind, ex_slice name, uint64_t position)
{
    memory_list *list = find_or_make(l, kind, name);
    if (!list)
        return EX_ENOMEM;
    if (list->count == list->room) {
        uint64_t room = list->room ? 2 * list->room : 4;
        uint64_t *positions = realloc(list->positions, room * sizeof(*positions));
        if (!positions)
            return EX_ENOMEM;
        list->positions = positions;
        list->room = room;
    }
    list->positions[list->count++] = position;
    return EX_OK;
}

static void cut_position(memory_log *l, postings_kind kind, ex_slice name, uint64_t position)
{
    memory_list *list = memory_log_find(l, kind, name);
    if (list && list->count && list->positions[list->count - 1] == position)
        list->count--;
}

/* ---- Events ---- */

static ex_slice id_key(char out[KEY_SIZE], uint64_t stream_key, const ex_id *id)
{
    memcpy(out, &stream_key, sizeof(stream_key));
    memcpy(out + sizeof(stream_key), id->bytes, 16);
    out[KEY_SIZE - 1] = (char)id->form;
    return ex_slice_of(out, KEY_SIZE);
}

const ex_event *memory_log_find_id(const memory_log *l, uint64_t stream_key, const ex_id *id)
{
    char key[KEY_SIZE];
    return ex_map_get(&l->ids, id_key(key, stream_key, id));
}

static void copy_slice(ex_slice *s, char **free_bytes)
{
    if (s->len)
        memcpy(*free_bytes, s->ptr, s->len);
    s->ptr = *free_bytes;
    *free_bytes += s->len;
}

static ex_event *copy_event(const ex_event *event)
{
    size_t bytes = event->stream.len + event->type.len + event->content_type.len + event->data.len +
                   event->metadata.len + event->tags.packed.len + event->correlation_id.len +
                   event->causation_id.len;
    ex_event *copy = malloc(sizeof(*copy) + bytes);
    if (!copy)
        return NULL;
    *copy = *event;
    char *at = (char *)(copy + 1);
    copy_slice(&copy->stream, &at);
    copy_slice(&copy->type, &at);
    copy_slice(&copy->content_type, &at);
    copy_slice(&copy->data, &at);
    copy_slice(&copy->metadata, &at);
    copy_slice(&copy->tags.packed, &at);
    copy_slice(&copy->correlation_id, &at);
    copy_slice(&copy->causation_id, &at);
    return copy;
}

static ex_status push(memory_log *l, const ex_event *event)
{
    if (l->event_count == l->event_room) {
        uint64_t room = l->event_room ? 2 * l->event_room : 256;
        ex_event **events = realloc(l->events, room * sizeof(*events));
        if (!events)
            return EX_ENOMEM;
        l->events = events;
        l->event_room = room;
    }
    ex_event *copy = copy_event(event);
    if (!copy)
        return EX_ENOMEM;
    l->events[l->event_count++] = copy;
    return EX_OK;
}

ex_status memory_log_put(memory_log *l, const ex_event *event)
{
    ex_status st = push(l, event);
    if (st)
        return st;
    ex_event *e = l->events[l->event_count - 1];
    st = put_position(l, POSTINGS_STREAM, e->stream, e->position);
    if (st == EX_OK)
        st = put_position(l, POSTINGS_TYPE, e->type, e->position);
    if (st == EX_OK && e->correlation_id.len)
        st = put_position(l, POSTINGS_CORRELATION, e->correlation_id, e->position);
    size_t at = 0;
    ex_slice tag;
    while (st == EX_OK && ex_tags_next(e->tags, &at, &tag))
        st = put_position(l, POSTINGS_TAG, tag, e->position);
    char key[KEY_SIZE];
    uint64_t stream_key = (uintptr_t)memory_log_find(l, POSTINGS_STREAM, e->stream);
    return st ? st : ex_map_put(&l->ids, id_key(key, stream_key, &e->id), e, NULL);
}

void memory_log_cut(memory_log *l)
{
    while (l->event_count > l->committed) {
        ex_event *e = l->events[--l->event_count];
        char key[KEY_SIZE];
        uint64_t stream_key = (uintptr_t)memory_log_find(l, POSTINGS_STREAM, e->stream);
        cut_position(l, POSTINGS_STREAM, e->stream, e->position);
        cut_position(l, POSTINGS_TYPE, e->type, e->position);
        cut_position(l, POSTINGS_CORRELATION, e->correlation_id, e->position);
        size_t at = 0;
        ex_slice tag;
        while (ex_tags_next(e->tags, &at, &tag))
            cut_position(l, POSTINGS_TAG, tag, e->position);
        if (memory_log_find_id(l, stream_key, &e->id) == e)
            (void)ex_map_remove(&l->ids, id_key(key, stream_key, &e->id)); /* freed below */
        free(e);
    }
}

/* ---- Posting lists ---- */

static ex_status resolve(void *ctx, postings_kind kind, ex_slice name, uint64_t *ret_key,
                         ex_error *err)
{
    (void)err;
    *ret_key = (uintptr_t)memory_log_find(ctx, kind, name);
    return EX_OK;
}

static ex_status list_fill(void *ctx, const postings_list *which, uint64_t from, uint64_t *out,
                           uint32_t room, uint32_t *ret_count, ex_error *err)
{
    (void)ctx;
    (void)err;
    const memory_list *list = (const memory_list *)(uintptr_t)which->key;
    uint64_t low = 0, high = list->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (list->positions[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    uint32_t count = 0;
    while (count < room && low < list->count)
        out[count++] = list->positions[low++];
    *ret_count = count;
    return EX_OK;
}

postings_source memory_log_source(memory_log *l)
{
    postings_source source = {l, resolve, list_fill, NULL};
    return source;
}
