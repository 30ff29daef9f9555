/* event_block.c: packing events, and blocks of them with a reference count. */
#include "store/event_block.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct event_block {
    atomic_uint refs;
    size_t size_bytes;
    size_t count;
    packed_event events[]; /* then their bytes */
};

uint32_t name_hash(ex_slice name)
{
    const uint64_t prime = 0x9E3779B97F4A7C15ULL;
    uint64_t h = name.len * prime;
    size_t at = 0;
    for (; name.len - at >= sizeof h; at += sizeof h) {
        uint64_t word;
        memcpy(&word, name.ptr + at, sizeof word);
        h = (h ^ word) * prime;
        h ^= h >> 29;
    }
    uint64_t rest = 0;
    if (at < name.len)
        memcpy(&rest, name.ptr + at, name.len - at);
    h = (h ^ rest) * prime;
    return (uint32_t)(h >> 32);
}

size_t packed_size(const ex_event *e)
{
    return e->stream.len + e->type.len + e->content_type.len + e->correlation_id.len +
           e->causation_id.len + e->tags.packed.len + e->metadata.len + e->data.len;
}

static uint32_t put(char **out, ex_slice s)
{
    assert(s.len <= UINT32_MAX);
    if (s.len != 0)
        memcpy(*out, s.ptr, s.len);
    *out += s.len;
    return (uint32_t)s.len;
}

void pack_event(const ex_event *e, char *out, packed_event *ret)
{
    ret->position = e->position;
    ret->version = e->version;
    ret->recorded_at_us = e->recorded_at_us;
    ret->id = e->id;
    ret->schema_version = e->schema_version;
    ret->stream_hash = name_hash(e->stream);
    ret->type_hash = name_hash(e->type);
    ret->stream_len = put(&out, e->stream);
    ret->type_len = put(&out, e->type);
    ret->content_type_len = put(&out, e->content_type);
    ret->correlation_len = put(&out, e->correlation_id);
    ret->causation_len = put(&out, e->causation_id);
    ret->tags_len = put(&out, e->tags.packed);
    ret->metadata_len = put(&out, e->metadata);
    ret->data_len = put(&out, e->data);
}

static ex_slice take(const char **bytes, uint32_t len)
{
    ex_slice s = {*bytes, len};
    *bytes += len;
    return s;
}

void unpack_event(const packed_event *p, const char *bytes, ex_event *ret)
{
    ret->position = p->position;
    ret->version = p->version;
    ret->recorded_at_us = p->recorded_at_us;
    ret->id = p->id;
    ret->schema_version = p->schema_version;
    ret->stream = take(&bytes, p->stream_len);
    ret->type = take(&bytes, p->type_len);
    ret->content_type = take(&bytes, p->content_type_len);
    ret->correlation_id = take(&bytes, p->correlation_len);
    ret->causation_id = take(&bytes, p->causation_len);
    ret->tags.packed = take(&bytes, p->tags_len);
    ret->metadata = take(&bytes, p->metadata_len);
    ret->data = take(&bytes, p->data_len);
}

size_t event_block_measure(const ex_event *events, size_t count)
{
    size_t size = sizeof(event_block) + count * sizeof(packed_event);
    for (size_t i = 0; i < count; i++)
        size += packed_size(&events[i]);
    return size;
}

event_block *event_block_new(const ex_event *events, size_t count)
{
    assert(count != 0);
    size_t size = event_block_measure(events, count);
    event_block *b = malloc(size);
    if (b == NULL)
        return NULL;
    atomic_init(&b->refs, 1);
    b->size_bytes = size;
    b->count = count;
    size_t offset = offsetof(event_block, events) + count * sizeof(packed_event);
    for (size_t i = 0; i < count; i++) {
        pack_event(&events[i], (char *)b + offset, &b->events[i]);
        b->events[i].offset = offset;
        offset += packed_size(&events[i]);
    }
    assert(offset <= size);
    return b;
}

event_block *event_block_ref(event_block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void event_block_unref(event_block *b)
{
    if (b != NULL && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
        free(b);
}

size_t event_block_bytes(const event_block *b)
{
    return b->size_bytes;
}
size_t event_block_count(const event_block *b)
{
    return b->count;
}
uint64_t event_block_first(const event_block *b)
{
    return b->events[0].position;
}
uint64_t event_block_last(const event_block *b)
{
    return b->events[b->count - 1].position;
}

const packed_event *event_block_packed(const event_block *b, size_t index)
{
    assert(index < b->count);
    return &b->events[index];
}

const char *event_block_data(const event_block *b, size_t index)
{
    return (const char *)b + event_block_packed(b, index)->offset;
}

void event_block_event(const event_block *b, size_t index, ex_event *ret)
{
    unpack_event(event_block_packed(b, index), event_block_data(b, index), ret);
}
