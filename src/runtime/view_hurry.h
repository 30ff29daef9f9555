/* view_hurry.h: for those who wait for a view in a way of their own. */
#ifndef EXCORE_RUNTIME_VIEW_HURRY_H
#define EXCORE_RUNTIME_VIEW_HURRY_H

#include <excore/runtime.h>

/** Somebody waits for `position`: the view (its number as in ex_runtime_view_status) does not rest
 *  until it is there. Thread: any. Blocking: no. */
void view_hurry(ex_runtime *rt, uint32_t view, uint64_t position);

#endif
