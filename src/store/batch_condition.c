/* batch_condition.c: "fail if an event matches", against the log and against the batch.
 *
 * The log, with what the batch wrote already, is searched by the driver through
 * its indexes. What is staged and not written yet is found through `words`,
 * which is filled when the first condition of a batch asks. */
#include "store/batch.h"
#include "store/position_check.h"

#define TAG_SEED 0x9e3779b97f4a7c15ull /* a tag and a type of the same spelling are two words */

static uint64_t type_hash(ex_slice type)
{
    return ex_hash(type);
}

static uint64_t tag_hash(ex_slice tag)
{
    return ex_hash(tag) ^ TAG_SEED;
}

static ex_status index_words(ex_batch *b, ex_error *err)
{
    for (uint32_t i = b->words_upto; i < b->event_count; i++) {
        const ex_event *e = &b->events[i];
        ex_status st = staged_index_put(&b->words, type_hash(e->type), i);
        size_t at = 0;
        ex_slice tag;
        while (st == EX_OK && ex_tags_next(e->tags, &at, &tag))
            st = staged_index_put(&b->words, tag_hash(tag), i);
        if (st)
            return ex_raise(err, st, "no memory for a condition");
        b->words_upto = i + 1;
    }
    return EX_OK;
}

/* Lowest staged position above `after` under a word that also matches the item; 0: none. */
static uint64_t match_under(const ex_batch *b, uint64_t hash, const ex_filter *item, uint64_t after)
{
    uint64_t lowest = 0;
    uint32_t at = 0, number;
    while (staged_index_next(&b->words, hash, &at, &number)) {
        const ex_event *e = &b->events[number];
        if (number < b->event_written || e->position <= after)
            break; /* newest first: the rest is older still */
        if (ex_filter_matches(item, e))
            lowest = e->position;
    }
    return lowest;
}

static uint64_t match_item(const ex_batch *b, const ex_query_item *item, uint64_t after)
{
    ex_filter filter = {.query = {.items = item, .item_count = 1}};
    if (item->tag_count)
        return match_under(b, tag_hash(item->tags[0]), &filter, after);
    uint64_t lowest = 0;
    for (uint32_t i = 0; i < item->type_count; i++) {
        uint64_t found = match_under(b, type_hash(item->types[i]), &filter, after);
        if (found && (!lowest || found < lowest))
            lowest = found;
    }
    if (item->type_count)
        return lowest;
    uint64_t first = b->base + b->event_written + 1; /* of what is not written */
    if (first <= after)
        first = after + 1;
    return first <= b->base + b->event_count ? first : 0;
}

static uint64_t match_staged(const ex_batch *b, const ex_query *query, uint64_t after)
{
    static const ex_query_item anything;
    if (query->item_count == 0)
        return match_item(b, &anything, after);
    uint64_t lowest = 0;
    for (uint32_t i = 0; i < query->item_count; i++) {
        uint64_t found = match_item(b, &query->items[i], after);
        if (found && (!lowest || found < lowest))
            lowest = found;
    }
    return lowest;
}

static ex_status find_written(ex_batch *b, const ex_query *query, uint64_t after, uint64_t *ret,
                              ex_error *err)
{
    *ret = 0;
    if (after >= b->base + b->event_written)
        return EX_OK;
    const store_driver *d = &b->store->driver;
    ex_error detail;
    ex_status st = d->ops->first_match(d->impl, query, after, ret, &detail);
    if (st && err)
        *err = detail;
    return st ? batch_break(b, st, &detail) : EX_OK;
}

ex_status batch_check_condition(ex_batch *b, const ex_query *query, uint64_t after, ex_error *err)
{
    uint64_t position = 0;
    if (after > b->base + b->event_count)
        return position_raise_ahead(after, b->base + b->event_count, err);
    ex_status st = find_written(b, query, after, &position, err);
    if (st == EX_OK && position == 0 && b->event_count > b->event_written) {
        st = index_words(b, err);
        if (st == EX_OK)
            position = match_staged(b, query, after);
    }
    if (st || position == 0)
        return st;
    (void)ex_raise(err, EX_ECONDITION, "event %llu matches the append's condition",
                   (unsigned long long)position);
    if (err)
        err->position = position;
    return EX_ECONDITION;
}
