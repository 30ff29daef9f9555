/* counters.h: an application whose folding a test can watch and hold up.
 *
 * Context `test`, aggregate `counter` with the command `add` {"n":…,"count":…}: emits Counted
 * {"n":…}, unless the state has not folded exactly `count` events (WRONG_COUNT). No views. */
#ifndef EXCORE_TESTS_COUNTERS_H
#define EXCORE_TESTS_COUNTERS_H

#include <excore/app.h>

#include <stdatomic.h>

extern const ex_app counters_app;

/** Called for each event that is folded, with its n, before; NULL: nothing. Any thread. */
typedef void counters_fold_fn(int64_t n);
extern _Atomic(counters_fold_fn *) counters_on_fold;

#endif
