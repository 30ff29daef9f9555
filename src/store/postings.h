/* postings.h: walking the log through its indexes: positions that match a filter.
 *
 * A filter becomes a small tree: the streams are OR-ed, the items of the query
 * are OR-ed, inside an item the types are OR-ed and the tags AND-ed. A leaf is
 * one posting list of the database (the positions of one correlation id, type,
 * tag or stream, rising) read a buffer at a time; inner nodes merge and leapfrog.
 * Positions come out in order and once, nothing is sorted, and memory depends on
 * the filter only, not on the log. A walk that finds nothing can be paused: each
 * node knows up to where it has nothing.
 *
 *   ALL( correlation, ANY(streams), ANY( ALL(tag, tag, ANY(types)), ALL(...) ) ) */
#ifndef EXCORE_STORE_POSTINGS_H
#define EXCORE_STORE_POSTINGS_H

#include <excore/arena.h>
#include <excore/event.h>

#include "store/match.h"
#include "store/pause.h"

typedef enum postings_kind {
    POSTINGS_STREAM,
    POSTINGS_TYPE,
    POSTINGS_TAG,
    POSTINGS_CORRELATION,
    POSTINGS_KINDS /* how many there are */
} postings_kind;

/** One list: of what, the key that resolve gave, and the name (borrowed from the filter). */
typedef struct postings_list {
    postings_kind kind;
    uint64_t key;
    ex_slice name;
} postings_list;

/** Where the lists come from: a driver. */
typedef struct postings_source {
    void *ctx;
    /** Key of a name, 0 when it is not stored. A driver that finds a list by its name alone gives
     *  any other number. */
    ex_status (*resolve)(void *ctx, postings_kind kind, ex_slice name, uint64_t *ret_key,
                         ex_error *err);
    /** The next positions of a list, rising, not below `from`. Fewer than `room`: the list ended.
     */
    ex_status (*fill)(void *ctx, const postings_list *list, uint64_t from, uint64_t *out,
                      uint32_t room, uint32_t *ret_count, ex_error *err);
    const store_pause *pause; /* of every walk; NULL: it goes on until it has found something */
} postings_source;

typedef struct postings postings;

#define POSTINGS_END UINT64_MAX

/** True when the filter lets every event pass: then scan the log instead. */
bool postings_is_all(const ex_filter *filter);

/** Build the walk in `arena`; source and filter must live as long. The filter is not all. */
EX_NODISCARD ex_status postings_new(const ex_filter *filter, const postings_source *source,
                                    ex_arena *arena, postings **ret, ex_error *err);
/** The lowest matching position that is not below `from` (from 1, rising from call to call), or
 *  POSTINGS_END.
 *  @return EX_OK; EX_EAGAIN (err untouched): the pause is due, and *ret_position is above `from`,
 *          with no match between them: go on from there, with this walk or with a new one */
EX_NODISCARD ex_status postings_seek(postings *p, uint64_t from, uint64_t *ret_position,
                                     ex_error *err);

/** Search through a driver's lists until something is found, all was looked at or the pause is due;
 *  then it has come further. @param arena for this call; the caller gives it back */
EX_NODISCARD ex_status postings_match(const postings_source *source, ex_arena *arena,
                                      store_match *match, ex_error *err);

#endif
