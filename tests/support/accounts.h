/* accounts.h: a tiny application for tests of the runtime, the API and the server.
 *
 * Context `bank`, aggregate `account`: open, deposit, withdraw, close (a business
 * failure), burst (many events), spin (a slow decide). View `balance` with the
 * queries balances (page), rich (list), balance (single), account-count (count).
 * Its handlers fail while accounts_view_fails is set. */
#ifndef EXCORE_TESTS_ACCOUNTS_H
#define EXCORE_TESTS_ACCOUNTS_H

#include <excore/app.h>

#include <stdatomic.h>

extern const ex_app accounts_app;
extern const ex_aggregate account_aggregate;
extern const ex_view_def balance_view;

extern atomic_bool accounts_view_fails;
extern atomic_int accounts_view_failure; /* the status then; EX_EINTERNAL to begin with */
extern atomic_uint accounts_spin_ms;

#endif
