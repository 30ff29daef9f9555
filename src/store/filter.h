/* filter.h: a filter copied and prepared for matching many packed events.
 *
 * Names are compared by hash first, sets of names are searched in order of
 * their hashes, so that the cost for an event hardly depends on the number of
 * streams or types asked for. ex_filter_matches (event.h) is the same rule
 * without preparation. */
#ifndef EXCORE_STORE_FILTER_H
#define EXCORE_STORE_FILTER_H

#include <excore/event.h>

#include "store/event_block.h"

typedef struct filter filter;

/** Copy and prepare. `source` is borrowed for the call.
 *  @return EX_OK, EX_EINVAL (a name that no event can have), EX_ENOMEM */
EX_NODISCARD ex_status filter_new(const ex_filter *source, filter **ret, ex_error *err);
/** NULL is accepted. */
void filter_free(filter *f);

/** True when the packed event passes. NULL lets all pass. Thread: any. */
bool filter_matches(const filter *f, const packed_event *p, const char *bytes);
/** The copied filter, for a cursor over the log; NULL for NULL. Lives as long as f. */
const ex_filter *filter_plain(const filter *f);

#endif
