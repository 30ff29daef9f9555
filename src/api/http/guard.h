/* guard.h: requests that a web page of somebody else sends through the browser of a user.
 *
 * Such a page can do two things without being asked. It can send a form, or what looks like one, to
 * any address that the browser reaches; so a request that changes something must show what a form
 * cannot send. And it can have its own name lead to our address (DNS rebinding), and then read
 * answers; so the Host of a request must be a name that the server knows. docs/http.md has the
 * rules, docs/decisions/0017 the reasons.
 *
 * Thread: any, once it is made. */
#ifndef EXCORE_API_HTTP_GUARD_H
#define EXCORE_API_HTTP_GUARD_H

#include "api/http/http.h"

typedef struct guard {
    bool is_on;
    bool knows_any;
    char *text; /* what the names point into */
    ex_slice *names;
    uint32_t name_count;
} guard;

/** From options->hosts and options->host. @return EX_OK, EX_EINVAL (an entry is no name), EX_ENOMEM
 */
EX_NODISCARD ex_status guard_init(guard *g, const http_options *options, ex_error *err);
void guard_done(guard *g);
/** The Host of any request. @return EX_OK, EX_EINVAL (421 UNKNOWN_HOST) */
EX_NODISCARD ex_status guard_check_host(const guard *g, const http_exchange *x, ex_error *err);
/** Nothing to say of reads. @return EX_OK, EX_EFORBIDDEN (403 FOREIGN_ORIGIN), EX_EMEDIATYPE (what
 * a form could have sent) */
EX_NODISCARD ex_status guard_check_change(const guard *g, const http_exchange *x, ex_error *err);

#endif
