/* watchdog.h: reports a decide function that runs too long, also while it still runs. */
#ifndef EXCORE_RUNTIME_WATCHDOG_H
#define EXCORE_RUNTIME_WATCHDOG_H

#include <excore/clock.h>
#include <excore/error.h>

typedef struct watchdog watchdog;

/** Called on the watchdog's thread, once for each slow run. */
typedef void watchdog_report_fn(void *ctx, const char *name, uint64_t running_ms);

EX_NODISCARD ex_status watchdog_start(uint32_t limit_ms, const ex_clock *clock,
                                      watchdog_report_fn *report, void *ctx, watchdog **ret,
                                      ex_error *err);
/** NULL is accepted. */
void watchdog_stop(watchdog *w);

/** Around a run, on the watched thread. `name` is static. NULL-safe. Cost: two atomic stores. */
void watchdog_enter(watchdog *w, const char *name);
void watchdog_leave(watchdog *w);

#endif
