/* view_list.h: how far the views of a store are, without the application that has them. */
#ifndef EXCORE_RUNTIME_VIEW_LIST_H
#define EXCORE_RUNTIME_VIEW_LIST_H

#include <excore/error.h>

/** A view's name and checkpoint, borrowed for the call. */
typedef void view_list_fn(void *ctx, ex_slice view, uint64_t position);

/** Call fn for each view that DIR/views.db keeps, by name; none when there is no such file.
 *  @return EX_OK, EX_ECORRUPT, EX_ESTORAGE, EX_ENOMEM. Thread: any. Blocking: disk reads. */
EX_NODISCARD ex_status view_list_read(const char *dir, view_list_fn *fn, void *ctx, ex_error *err);

#endif
