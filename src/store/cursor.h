/* cursor.h: cursors for those who share readers and threads with others. */
#ifndef EXCORE_STORE_CURSOR_H
#define EXCORE_STORE_CURSOR_H

#include <excore/store.h>

/** ex_cursor_next in slices: it reads for 20 ms or so at a time, and holds a read connection for no
 *  longer.
 *  @return as ex_cursor_next, or EX_EAGAIN (err untouched): nothing was found yet, call again */
EX_NODISCARD ex_status ex_cursor_try(ex_cursor *c, ex_event *ret, ex_error *err);

#endif
