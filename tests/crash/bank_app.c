/* bank_app.c: tests/support/accounts.c as an application for `excore serve --app`.
 *
 * BANK_SPIN_MS in the server's environment says how long the command `spin` decides. */
#include "support/accounts.h"

#include <stdlib.h>

EX_API const ex_app *excore_app(void);

const ex_app *excore_app(void)
{
    const char *spin_ms = getenv("BANK_SPIN_MS");
    if (spin_ms)
        atomic_store(&accounts_spin_ms, (unsigned)strtoul(spin_ms, NULL, 10));
    return &accounts_app;
}
