/* cancel.h: the working side of excore/cancel.h. */
#ifndef EXCORE_KERNEL_CANCEL_H
#define EXCORE_KERNEL_CANCEL_H

#include <excore/cancel.h>

typedef void ex_cancel_fn(void *ctx);

/** Have fn called, once, when the end is asked for: on the asking thread; it must neither block nor
 *  call back here. One at a time.
 *  @param c NULL: nothing happens
 *  @return EX_OK, EX_ECANCELLED (it was asked for already: nothing is attached) */
EX_NODISCARD ex_status ex_cancel_attach(ex_cancel *c, ex_cancel_fn *fn, void *ctx, ex_error *err);
/** After it returned, fn does not run and is not called. NULL is accepted. */
void ex_cancel_detach(ex_cancel *c);

#endif
