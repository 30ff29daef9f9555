/* query_check.h: what a query or filter may look like: well-formed names, bounded size. */
#ifndef EXCORE_STORE_QUERY_CHECK_H
#define EXCORE_STORE_QUERY_CHECK_H

#include <excore/event.h>

#define QUERY_ITEMS_MAX 64   /* items of a query */
#define QUERY_NAMES_MAX 1024 /* streams, types and tags of a filter together */

/** @return EX_OK, EX_EINVAL. Thread: any. */
EX_NODISCARD ex_status query_check(const ex_query *query, ex_error *err);
EX_NODISCARD ex_status filter_check(const ex_filter *filter, ex_error *err);

/** 1 to 255 bytes of UTF-8 without control characters. `what` names it in the error. */
EX_NODISCARD ex_status store_name_check(ex_slice name, const char *what, ex_error *err);
/** "key:value", both not empty, and a name. */
EX_NODISCARD ex_status store_tag_check(ex_slice tag, ex_error *err);

#endif
