/* alloc_fault.h: make the n-th allocation of the code under test fail.
 *
 * Every test program is linked with --wrap for malloc, calloc, realloc and
 * strdup (tests/CMakeLists.txt), so all calls from libexcore and the test pass
 * through here; calls inside shared libraries do not. SQLite joins by
 * alloc_fault_cover_sqlite. Counting is for the whole process. */
#ifndef EXCORE_TESTS_ALLOC_FAULT_H
#define EXCORE_TESTS_ALLOC_FAULT_H

#include <excore/status.h>

/** From now on let `nth` - 1 allocations pass and the nth fail; `is_sticky`: all later ones too. */
void alloc_fault_arm(uint64_t nth, bool is_sticky);
/** Let all pass again. @return how many were made to fail since alloc_fault_arm */
uint64_t alloc_fault_disarm(void);

/** Route SQLite's allocations through here as well. Before its first use in the process. */
void alloc_fault_cover_sqlite(void);

/** Run `body` with its 1st, then its 2nd, … allocation failing (once each, then once with all later
 *  ones failing too), until a run needs no allocation that fails. Fails the cmocka test unless
 * every run with a failure returns EX_ENOMEM and the last returns EX_OK. Leaks are the sanitizer's
 * to find.
 *  @return the number of allocations tried */
uint64_t alloc_fault_torture(const char *name, ex_status (*body)(void *ctx), void *ctx);

#endif
