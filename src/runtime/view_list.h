/* view_list.h: how far the views of a store are, without the application that has them. */
#ifndef EXCORE_RUNTIME_VIEW_LIST_H
#define EXCORE_RUNTIME_VIEW_LIST_H

#include <excore/error.h>

typedef struct view_list_entry {
    ex_slice name;
    uint64_t position; /* the checkpoint */
    uint64_t parked;   /* events, without those that were skipped */
} view_list_entry;

/** Borrowed for the call. */
typedef void view_list_fn(void *ctx, const view_list_entry *view);

/** Call fn for each view that the store (a directory or a postgres:// URL) keeps, by name; none
 * when there are none yet.
 *  @return EX_OK, or ex_sql_open's and a query's statuses. Thread: any. Blocking: disk, network. */
EX_NODISCARD ex_status view_list_read(const char *dir, view_list_fn *fn, void *ctx, ex_error *err);

#endif
