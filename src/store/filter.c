/* filter.c: which events a reader of the log wants to see.
 *
 * No item at all: every event. An item: any of its types (all when it names
 * none) and all of its tags. Items are OR-ed; streams are OR-ed and AND-ed
 * with the items, and so is the correlation id.
 *
 * A prepared filter is one allocation: the sets, the plain filter that the
 * cursors of the log understand, and the bytes of all names. */
#include "store/filter.h"

#include <stdlib.h>

/* ---- The rule itself ---- */

static bool tags_have(ex_tags tags, ex_slice wanted)
{
    size_t at = 0;
    ex_slice tag;
    while (ex_tags_next(tags, &at, &tag)) {
        if (ex_slice_eq(tag, wanted))
            return true;
    }
    return false;
}

static bool tags_have_all(ex_tags tags, const ex_query_item *item)
{
    for (uint32_t i = 0; i < item->tag_count; i++) {
        if (!tags_have(tags, item->tags[i]))
            return false;
    }
    return true;
}

static bool is_one_of(ex_slice name, const ex_slice *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ex_slice_eq(name, names[i]))
            return true;
    }
    return count == 0;
}

bool ex_filter_matches(const ex_filter *f, const ex_event *e)
{
    if (!is_one_of(e->stream, f->streams, f->stream_count))
        return false;
    if (f->correlation_id.len != 0 && !ex_slice_eq(f->correlation_id, e->correlation_id))
        return false;
    for (uint32_t i = 0; i < f->query.item_count; i++) {
        const ex_query_item *item = &f->query.items[i];
        if (is_one_of(e->type, item->types, item->type_count) && tags_have_all(e->tags, item))
            return true;
    }
    return f->query.item_count == 0;
}

/* ---- Prepared ---- */

typedef struct hashed_name {
    ex_slice name;
    uint32_t hash;
} hashed_name;

/* In order of the hashes. */
typedef struct name_set {
    const hashed_name *names;
    uint32_t count;
} name_set;

struct filter {
    ex_filter plain;
    name_set streams;
    const name_set *types; /* one for each item of the query */
};

static bool set_has(const name_set *set, uint32_t hash, ex_slice name)
{
    uint32_t low = 0;
    uint32_t high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->names[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < set->count && set->names[low].hash == hash; low++) {
        if (ex_slice_eq(set->names[low].name, name))
            return true;
    }
    return false;
}

bool filter_matches(const filter *f, const packed_event *p, const char *bytes)
{
    if (f == NULL)
        return true;
    if (f->streams.count != 0 && !set_has(&f->streams, p->stream_hash, packed_stream(p, bytes)))
        return false;
    ex_slice correlation = f->plain.correlation_id;
    if (correlation.len != 0 && !ex_slice_eq(correlation, packed_correlation(p, bytes)))
        return false;
    const ex_query *query = &f->plain.query;
    for (uint32_t i = 0; i < query->item_count; i++) {
        const name_set *types = &f->types[i];
        if (types->count != 0 && !set_has(types, p->type_hash, packed_type(p, bytes)))
            continue;
        if (tags_have_all(packed_tags(p, bytes), &query->items[i]))
            return true;
    }
    return query->item_count == 0;
}

const ex_filter *filter_plain(const filter *f)
{
    return f != NULL ? &f->plain : NULL;
}

/* ---- Preparing: measure, allocate once, fill ---- */

typedef struct totals {
    size_t names;  /* slices */
    size_t hashed; /* of them, those in sets */
    size_t bytes;
} totals;

static ex_status add_names(totals *t, const ex_slice *names, uint32_t count, size_t longest,
                           const char *what, ex_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (names[i].len == 0 || names[i].len > longest)
            return ex_raise(err, EX_EINVAL, "%s of a filter: %zu bytes, 1 to %zu are possible",
                            what, names[i].len, longest);
        t->bytes += names[i].len;
    }
    t->names += count;
    return EX_OK;
}

static ex_status measure(const ex_filter *source, totals *ret, ex_error *err)
{
    totals t = {0};
    ex_status status =
        add_names(&t, source->streams, source->stream_count, EX_STREAM_NAME_MAX, "a stream", err);
    for (uint32_t i = 0; status == EX_OK && i < source->query.item_count; i++) {
        const ex_query_item *item = &source->query.items[i];
        status = add_names(&t, item->types, item->type_count, EX_TYPE_NAME_MAX, "a type", err);
    }
    t.hashed = t.names;
    if (status == EX_OK && source->correlation_id.len)
        status =
            add_names(&t, &source->correlation_id, 1, EX_CORRELATION_MAX, "a correlation id", err);
    for (uint32_t i = 0; status == EX_OK && i < source->query.item_count; i++) {
        const ex_query_item *item = &source->query.items[i];
        status = add_names(&t, item->tags, item->tag_count, EX_TAG_MAX, "a tag", err);
    }
    *ret = t;
    return status;
}

/* Where the next part goes; the parts follow one another from the strictest alignment to bytes. */
typedef struct filler {
    ex_query_item *items;
    name_set *types;
    hashed_name *hashed;
    ex_slice *names;
    char *bytes;
} filler;

static const ex_slice *copy_names(filler *to, const ex_slice *names, uint32_t count)
{
    const ex_slice *first = to->names;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to->bytes, names[i].ptr, names[i].len);
        *to->names++ = ex_slice_of(to->bytes, names[i].len);
        to->bytes += names[i].len;
    }
    return first;
}

static int compare_hashes(const void *a, const void *b)
{
    uint32_t x = ((const hashed_name *)a)->hash;
    uint32_t y = ((const hashed_name *)b)->hash;
    return (x > y) - (x < y);
}

static name_set make_set(filler *to, const ex_slice *names, uint32_t count)
{
    hashed_name *first = to->hashed;
    for (uint32_t i = 0; i < count; i++)
        *to->hashed++ = (hashed_name){.name = names[i], .hash = name_hash(names[i])};
    if (count > 1)
        qsort(first, count, sizeof *first, compare_hashes);
    return (name_set){.names = first, .count = count};
}

static void fill(filter *f, const ex_filter *source, filler to)
{
    f->plain.stream_count = source->stream_count;
    f->plain.streams = copy_names(&to, source->streams, source->stream_count);
    f->streams = make_set(&to, f->plain.streams, source->stream_count);
    f->plain.correlation_id = EX_S("");
    if (source->correlation_id.len)
        f->plain.correlation_id = *copy_names(&to, &source->correlation_id, 1);
    f->plain.query.item_count = source->query.item_count;
    f->plain.query.items = to.items;
    f->types = to.types;
    for (uint32_t i = 0; i < source->query.item_count; i++) {
        const ex_query_item *from = &source->query.items[i];
        ex_query_item *item = &to.items[i];
        item->type_count = from->type_count;
        item->types = copy_names(&to, from->types, from->type_count);
        item->tag_count = from->tag_count;
        item->tags = copy_names(&to, from->tags, from->tag_count);
        to.types[i] = make_set(&to, item->types, item->type_count);
    }
}

ex_status filter_new(const ex_filter *source, filter **ret, ex_error *err)
{
    totals t;
    ex_status status = measure(source, &t, err);
    if (status != EX_OK)
        return status;
    size_t items = source->query.item_count;
    size_t at_items = sizeof(filter);
    size_t at_types = at_items + items * sizeof(ex_query_item);
    size_t at_hashed = at_types + items * sizeof(name_set);
    size_t at_names = at_hashed + t.hashed * sizeof(hashed_name);
    size_t at_bytes = at_names + t.names * sizeof(ex_slice);
    char *base = malloc(at_bytes + t.bytes);
    if (base == NULL)
        return ex_raise(err, EX_ENOMEM, "no memory for a filter");
    filter *f = (filter *)(void *)base;
    fill(f, source,
         (filler){.items = (ex_query_item *)(void *)(base + at_items),
                  .types = (name_set *)(void *)(base + at_types),
                  .hashed = (hashed_name *)(void *)(base + at_hashed),
                  .names = (ex_slice *)(void *)(base + at_names),
                  .bytes = base + at_bytes});
    *ret = f;
    return EX_OK;
}

void filter_free(filter *f)
{
    free(f);
}
