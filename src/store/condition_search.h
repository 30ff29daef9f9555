/* condition_search.h: a condition that memory does not decide is searched beside the batches.
 *
 * A batch holds the writer's lock, in PostgreSQL that of the log's head for all
 * nodes, so no condition asks the database in one. A submission whose condition
 * stays undecided leaves the batch; a thread with a reader of its own looks for a
 * match among what is committed, for a second at most, and the submission is staged
 * anew, with the position up to which its condition was checked. What came
 * meanwhile is compared in memory, or searched in another round when that is much.
 *
 * Searches run in slices, and new ones go before those that had one: a short one
 * does not wait for long ones. */
#ifndef EXCORE_STORE_CONDITION_SEARCH_H
#define EXCORE_STORE_CONDITION_SEARCH_H

#include "store/store_internal.h"
#include "store/submission.h"

/** The field that an error about an item of a condition names, with its number from 0. */
#define CONDITION_ITEM_FIELD "condition.fail_if_match.items[%u]"

typedef struct condition_searches condition_searches;
typedef struct condition_search condition_search;

/** What a search has found so far. */
typedef struct condition_verdict {
    ex_status status; /* the search failed; err says why */
    const ex_error *err;
    uint64_t checked; /* nothing at or below it matches, but for `match` */
    uint64_t match;   /* the lowest position that matches; 0: none */
    uint32_t item;    /* of the query, which matches there */
} condition_verdict;

/** Threads and connections are made when the first search begins. */
EX_NODISCARD ex_status condition_searches_new(ex_store *store, condition_searches **ret,
                                              ex_error *err);
/** The store closes: what is not found within a second is answered with EX_ECLOSED. Thread: any. */
void condition_searches_close(condition_searches *c);
/** Nothing is searched any more. NULL is accepted. */
void condition_searches_free(condition_searches *c);

/* ---- On the sequencer's thread, for stage functions ---- */

/** Search for a match beside the batches. `s` comes back into the queue when that is done; the
 *  caller makes it leave the batch.
 *  @param query     copied
 *  @param after     as the append has it
 *  @param checked   up to here nothing matches
 *  @param undecided for each item of the query a bit: it may match up to `upto`
 *  @param upto      committed; the search goes on to what is committed meanwhile
 *  @return EX_OK, EX_ECANCELLED, EX_EOVERLOADED, EX_ECLOSED, EX_ENOMEM, EX_EAGAIN (no thread) */
EX_NODISCARD ex_status condition_search_begin(condition_searches *c, ex_submission *s,
                                              const ex_query *query, uint64_t after,
                                              uint64_t checked, uint64_t undecided, uint64_t upto,
                                              ex_error *err);
/** What was found for this very query when `s` came back. False: it has not searched for it. */
bool condition_search_verdict(const ex_submission *s, const ex_query *query, uint64_t after,
                              condition_verdict *ret);
/** The log lost its end: what was searched until now may be of events that are not there any more.
 */
void condition_searches_doubt(condition_searches *c);
/** Forget what was searched for `s`. */
void condition_search_forget(ex_submission *s);

#endif
