/* search.c: arguments and answer of PG_SEARCH. */
#include "store/postgres/search.h"

#include "store/postgres/event_row.h"
#include "store/postgres/search_sql.h"
#include "store/postings.h"

/* Entries of a list that a round reads: many make rounds few, and bound how long one takes. */
#define ENTRIES_OF_ROUND 8192u /* of all lists together */
#define ENTRIES_MOST     ((uint64_t)PG_SEARCH_ENTRIES)
#define ENTRIES_LEAST    64u
#define ENTRIES_ALONE    16u /* of a list that nothing is compared with */

/* The answer: an event, then these. */
enum { COLUMN_REACHED = EVENT_ROW_COLUMNS, COLUMN_LAST };

bool pg_search_knows(const ex_filter *filter)
{
    return !postings_is_all(filter) && filter->stream_count == 0 && filter->correlation_id.len == 0;
}

/* ---- Arguments ---- */

typedef struct names {
    const ex_slice *list;
    uint32_t count;
} names;

static names names_of(const ex_query_item *item, bool are_tags)
{
    return are_tags ? (names){item->tags, item->tag_count} : (names){item->types, item->type_count};
}

/* The statement counts tags, so each one comes once. */
static bool is_again(const names *n, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (ex_slice_eq(n->list[i], n->list[at]))
            return true;
    return false;
}

static uint64_t put_names(ex_pg_args *args, const ex_query *query, bool are_tags)
{
    uint64_t count = 0;
    ex_pg_array_begin(args, EX_PG_TEXT);
    for (uint32_t item = 0; item < query->item_count; item++) {
        const names n = names_of(&query->items[item], are_tags);
        for (uint32_t i = 0; i < n.count; i++)
            if (!is_again(&n, i)) {
                ex_pg_put_text(args, n.list[i]);
                count++;
            }
    }
    ex_pg_array_end(args);
    return count;
}

static void put_items(ex_pg_args *args, const ex_query *query, bool are_tags)
{
    ex_pg_array_begin(args, EX_PG_INT8);
    for (uint32_t item = 0; item < query->item_count; item++) {
        const names n = names_of(&query->items[item], are_tags);
        for (uint32_t i = 0; i < n.count; i++)
            if (!is_again(&n, i))
                ex_pg_put_i64(args, item + 1);
    }
    ex_pg_array_end(args);
}

static uint64_t entries_of(uint64_t lists, uint64_t wanted)
{
    if (lists <= 1) {
        uint64_t least = wanted > ENTRIES_ALONE ? wanted : ENTRIES_ALONE;
        return least < ENTRIES_MOST ? least : ENTRIES_MOST;
    }
    uint64_t share = ENTRIES_OF_ROUND / lists;
    if (share > ENTRIES_MOST)
        return ENTRIES_MOST;
    return share < ENTRIES_LEAST ? ENTRIES_LEAST : share;
}

void pg_put_search(ex_pg_args *args, const pg_search *search)
{
    uint64_t lists = put_names(args, search->query, true);
    put_items(args, search->query, true);
    lists += put_names(args, search->query, false);
    put_items(args, search->query, false);
    ex_pg_put_i64(args, search->query->item_count);
    ex_pg_put_i64(args, (int64_t)search->from);
    ex_pg_put_i64(args, (int64_t)search->upto);
    ex_pg_put_i64(args, (int64_t)entries_of(lists, search->events));
    ex_pg_put_i64(args, (int64_t)search->events);
    ex_pg_put_i64(args, (int64_t)search->bytes);
}

/* ---- Answer ---- */

ex_status pg_search_read_end(const ex_pg_result *r, pg_search_end *ret, ex_error *err)
{
    if (r->rows == 0)
        return ex_raise(err, EX_ECORRUPT, "a search of the log has no answer");
    uint64_t reached = (uint64_t)ex_pg_get_i64(r, 0, COLUMN_REACHED);
    if (ex_pg_is_null(r, 0, COLUMN_LAST)) {
        *ret = (pg_search_end){.rows = 0, .next = reached + 1};
        return EX_OK;
    }
    uint64_t match = (uint64_t)ex_pg_get_i64(r, 0, COLUMN_LAST);
    if (ex_pg_is_null(r, 0, 0))
        return ex_raise(err, EX_ECORRUPT, "event %llu is missing in the log",
                        (unsigned long long)match);
    /* what the bytes did not allow is found again */
    uint64_t last = (uint64_t)ex_pg_get_i64(r, r->rows - 1, 0);
    *ret = (pg_search_end){.rows = r->rows, .next = last < match ? last + 1 : reached + 1};
    return EX_OK;
}
