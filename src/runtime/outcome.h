/* outcome.h: the stored outcome of a command id.
 *
 *     {"outcome":"executed"|"failed","reason":…,"position":…,"version":…,
 *      "events":[{"type","id","position","version"}]}
 *     {"outcome":"rejected","code":…,"reason":…} */
#ifndef EXCORE_RUNTIME_OUTCOME_H
#define EXCORE_RUNTIME_OUTCOME_H

#include <excore/runtime.h>

/** The member "events" of an outcome, for whoever answers with one. */
void outcome_put_events(ex_json_writer *w, const ex_command_result *result);
/** Append the outcome. `rejection` is NULL for one that took effect. Check ex_buf_status(out). */
void outcome_write(const ex_command_result *result, const ex_error *rejection, ex_buf *out);
/** Read it back into `ret` (in `arena`), with is_duplicate set.
 *  @return EX_OK, EX_EREJECTED (err is the stored rejection), EX_ECORRUPT, EX_ENOMEM */
EX_NODISCARD ex_status outcome_read(ex_slice text, ex_arena *arena, ex_command_result *ret,
                                    ex_error *err);

#endif
