/* batch_condition.c: "fail if an event matches", decided in memory, or searched beside the batch.
 *
 * Whoever holds the lock of the log asks no database for a condition. The words of
 * recent events (recent_words.h) tell of most items that no event has them all; of
 * events that are only staged the batch has all there is. What stays undecided is
 * searched by a thread of its own (condition_search.h), and the submission leaves
 * the batch until then. A match in the log is always told by that search: the
 * lowest one, compared byte by byte. */
#include <assert.h>
#include <stdio.h>

#include "store/batch.h"
#include "store/position_check.h"
#include "store/query_check.h"

/* Entries of the ring that are looked at for a query: a few at first, all of them once a search was
 * made, which took longer. */
#define FIRST_STEPS 512u
#define ALL_STEPS   RECENT_WORDS

/* ---- Asking memory ---- */

typedef struct asking {
    const ex_batch *batch;
    const ex_query_item *item;
    uint64_t staged;   /* lowest staged event that matches; 0: none */
    bool is_committed; /* one that is committed may match */
} asking;

static bool meet(void *ctx, uint64_t position)
{
    asking *a = ctx;
    const ex_batch *b = a->batch;
    if (position <= b->base) {
        a->is_committed = true;
        return false;
    }
    const ex_filter filter = {.query = {.items = a->item, .item_count = 1}};
    if (ex_filter_matches(&filter, &b->events[position - b->base - 1]))
        a->staged = position;
    return true;
}

/* What is known about a query: a bit for each item that the log itself must be asked for. */
typedef struct knowledge {
    uint64_t undecided;
    uint64_t staged; /* the lowest staged event that matches; 0: none */
    uint32_t item;   /* of the query, which matches there */
} knowledge;

static knowledge ask_memory(const ex_batch *b, const ex_query *query, uint64_t checked,
                            uint32_t steps)
{
    knowledge k = {0};
    for (uint32_t i = 0; i < query->item_count; i++) {
        asking a = {.batch = b, .item = &query->items[i]};
        bool is_known = recent_words_walk(b->words, a.item, checked, steps, meet, &a);
        /* the rest of an item that is searched is asked for when it comes back */
        if (!is_known || a.is_committed)
            k.undecided |= UINT64_C(1) << i;
        else if (a.staged && (!k.staged || a.staged < k.staged)) {
            k.staged = a.staged;
            k.item = i;
        }
    }
    return k;
}

/* One by one: the batch alone has more words than are remembered. */
static knowledge scan_staged(const ex_batch *b, const ex_query *query, uint64_t checked)
{
    const ex_filter filter = {.query = *query};
    for (uint32_t i = (uint32_t)(checked - b->base); i < b->event_count; i++) {
        knowledge k = {.staged = b->events[i].position};
        if (!ex_filter_matches(&filter, &b->events[i]))
            continue;
        const ex_filter item = {.query = {.items = query->items, .item_count = 1}};
        for (ex_filter one = item; !ex_filter_matches(&one, &b->events[i]); one.query.items++)
            k.item++;
        return k;
    }
    return (knowledge){0};
}
_Static_assert(QUERY_ITEMS_MAX <= 64, "a bit for each item");

/* ---- Answers ---- */

static ex_status refuse(uint64_t position, const ex_query *query, uint32_t item, ex_error *err)
{
    char field[64] = "condition.fail_if_match";
    if (query->item_count > 1)
        (void)ex_raise(err, EX_ECONDITION, "event %llu matches item %u of the append's condition",
                       (unsigned long long)position, item + 1);
    else
        (void)ex_raise(err, EX_ECONDITION, "event %llu matches the append's condition",
                       (unsigned long long)position);
    if (query->item_count)
        (void)snprintf(field, sizeof(field), CONDITION_ITEM_FIELD, item); /* fits */
    ex_error_set_field(err, ex_str(field));
    if (err)
        err->position = position;
    return EX_ECONDITION;
}

/* Every event matches: the next one, whatever it holds. False: the query is not of that kind. */
static bool find_any(const ex_query *query, uint32_t *ret_item)
{
    *ret_item = 0;
    for (uint32_t i = 0; i < query->item_count; i++) {
        if (query->items[i].type_count + query->items[i].tag_count == 0) {
            *ret_item = i;
            return true;
        }
    }
    return query->item_count == 0;
}

static ex_status leave(ex_batch *b, const ex_query *query, uint64_t after, uint64_t checked,
                       uint64_t undecided, ex_error *err)
{
    ex_status st = condition_search_begin(b->searches, b->running, query, after, checked, undecided,
                                          b->base, err);
    if (st)
        return st;
    b->is_searched = true;
    ex_batch_defer(b);
    return EX_EAGAIN;
}

ex_status batch_check_condition(ex_batch *b, const ex_query *query, uint64_t after, ex_error *err)
{
    uint64_t end = b->base + b->event_count;
    uint32_t item = 0, steps = FIRST_STEPS;
    if (after > end)
        return position_raise_ahead(after, end, err);
    if (after == end)
        return EX_OK;
    if (find_any(query, &item))
        return refuse(after + 1, query, item, err);
    condition_verdict found = {.checked = after};
    if (condition_search_verdict(b->running, query, after, &found))
        steps = ALL_STEPS;
    if (found.status) {
        if (err)
            *err = *found.err;
        return found.status;
    }
    if (found.match)
        return refuse(found.match, query, found.item, err);
    knowledge k = ask_memory(b, query, found.checked, found.checked < b->base ? steps : ALL_STEPS);
    if (k.undecided && found.checked < b->base)
        return leave(b, query, after, found.checked, k.undecided, err);
    if (k.undecided)
        k = scan_staged(b, query, found.checked);
    return k.staged ? refuse(k.staged, query, k.item, err) : EX_OK;
}
