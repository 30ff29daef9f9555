/* cancel.h: ends work that runs on another thread.
 *
 * One side makes an ex_cancel, hands it to a call that may take long, and asks for its end when
 * nobody wants the answer any more. Asking lasts: it counts also when the work begins later. */
#ifndef EXCORE_CANCEL_H
#define EXCORE_CANCEL_H

#include <excore/error.h>

EX_BEGIN_DECLS

typedef struct ex_cancel ex_cancel;

/** @return EX_OK, EX_ENOMEM */
EX_API EX_NODISCARD ex_status ex_cancel_new(ex_cancel **ret, ex_error *err);
/** After the work has returned. NULL is accepted. */
EX_API void ex_cancel_free(ex_cancel *c);
/** The work ends soon and fails with EX_ECANCELLED. Again is harmless. Thread: any. Blocking: no.
 */
EX_API void ex_cancel_request(ex_cancel *c);
/** Thread: any. NULL: false. */
EX_API bool ex_cancel_is_requested(const ex_cancel *c);

EX_END_DECLS

#endif
