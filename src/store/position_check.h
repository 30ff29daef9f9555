/* position_check.h: a place that the log has not reached yet is refused by name.
 *
 * Whoever holds a position above the head has it from another log, or from a part of this one that
 * was lost. Served in silence it would miss the events that come at those positions. */
#ifndef EXCORE_STORE_POSITION_CHECK_H
#define EXCORE_STORE_POSITION_CHECK_H

#include "store/store_internal.h"

/** Raise EX_EAHEAD (err: position, current is the head). */
ex_status position_raise_ahead(uint64_t position, uint64_t head, ex_error *err);
/** Has the log got to this position? The database is asked when this process does not know.
 *  @return EX_OK, EX_EAHEAD, EX_ETIMEOUT, EX_ESTORAGE. Thread: any. Blocking: perhaps a query */
EX_NODISCARD ex_status position_check_log(ex_store *s, uint64_t position, ex_error *err);
/** Has the stream got to this version? @return as above. Blocking: a query */
EX_NODISCARD ex_status position_check_stream(ex_store *s, ex_slice stream, uint64_t version,
                                             ex_error *err);

#endif
