/* match.h: a search for an event that matches an item of a query. */
#ifndef EXCORE_STORE_MATCH_H
#define EXCORE_STORE_MATCH_H

#include <excore/event.h>

#include "store/pause.h"

/** The lowest position above `after` and up to `upto` whose event matches an item is looked for. */
typedef struct store_match {
    const ex_query_item *item; /* names a type or a tag */
    const store_pause *pause;  /* NULL: none */
    uint64_t upto;             /* committed */
    uint64_t after;    /* moves on: no event up to here matches; `upto`: the search is over */
    uint64_t position; /* set when found; else 0 */
    bool is_dense;     /* the driver's own: how the search went until now */
} store_match;

#endif
