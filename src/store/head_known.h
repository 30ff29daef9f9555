/* head_known.h: how a process that shares its log with others knows where the log ends.
 *
 *   head      what this process has published: the sequencer's (store_internal.h). Everything that
 *             follows the log, and every plain read, goes up to it
 *   heard     what the database last told anybody here; a hint only, for those who wait
 *   known_ns  the latest time of which is known that `head` was the log's end then
 *
 * The driver's own thread asks the database twice a second over a connection of its own, so that a
 * node whose writing connection hangs finds out that it is behind. */
#ifndef EXCORE_STORE_HEAD_KNOWN_H
#define EXCORE_STORE_HEAD_KNOWN_H

#include "observe/metrics.h"
#include "store/store_internal.h"

/** The time for head_known_at, and what ages are reckoned from. */
uint64_t head_known_now_ns(void);
/** At `at_ns` the log ended where `head` is now. Thread: any. */
void head_known_at(ex_store *s, uint64_t at_ns);
/** The database has said that the log reaches `position`, or, when `is_end`, that it ends there.
 *  Thread: any. */
void head_known_heard(ex_store *s, uint64_t position, bool is_end);

/** May the log have reached the position, as far as is known without asking? Thread: any. */
bool ex_store_has_heard(ex_store *s, uint64_t position);

/** Have the sequencer look what others have appended. Thread: any. Blocking: no. */
void ex_store_look(ex_store *s);
/** Version of a stream as of `upto`, a position that the log has reached; at least of what this
 *  process has published. */
EX_NODISCARD ex_status ex_store_stream_version_at(ex_store *s, ex_slice stream, uint64_t upto,
                                                  uint64_t *ret, ex_error *err);

/** The gauge of ex_store_head_age_ms; without other processes there is none. */
EX_NODISCARD ex_status head_known_metrics(ex_store *s, ex_error *err);
void head_known_metrics_done(ex_store *s);

/** A bound for a read that goes up to `min_position` at least, or to the log's end as it is now.
 *  Asks the database, over `reader`, only when what is known does not do.
 *  @return EX_OK; EX_EAHEAD (the log ends before min_position, at err->current); as reader->head;
 *          EX_EAGAIN (is_current on a standby, which does not know) */
EX_NODISCARD ex_status head_known_bound(ex_store *s, void *reader, uint64_t min_position,
                                        bool is_current, uint64_t *ret, ex_error *err);

#endif
