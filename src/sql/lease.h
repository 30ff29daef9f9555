/* lease.h: which of several nodes does a piece of work that only one may do, such as a view.
 *
 * Nodes share one database. Each wants leases by name; a lease is held by one node at a time, until
 * a time on the database's clock that the holder keeps moving on. Every change of holder raises the
 * lease's token. Two guards, one for each way of being wrong:
 *
 *     ex_lease_is_held    ends by this node's monotonic clock at the latest when the database lets
 *                         others take it: a node that cannot reach the database stops by itself
 *     ex_lease_prove      inside the transaction that writes: fails when another holder came since,
 *                         and keeps one from coming before the transaction ends. A node that slept
 *                         through its lease cannot write, whatever it believes
 *
 * Without a URL one process owns the store: every lease is held from the start and for ever, a
 * proof costs nothing. Workers do not know the difference.
 *
 * Thread: any, unless said otherwise. */
#ifndef EXCORE_SQL_LEASE_H
#define EXCORE_SQL_LEASE_H

#include <excore/error.h>
#include <excore/id.h>

#include "observe/metrics.h"
#include "sql/sql.h"

#define EX_LEASE_NAME_MAX 255 /* bytes */

typedef struct ex_leases ex_leases; /* this node */
typedef struct ex_lease ex_lease;   /* a piece of work that it wants */

typedef struct ex_leases_options {
    const char *url;     /* NULL: one process owns the store. Texts are copied */
    const char *version; /* of this program, for people; nullable */
    uint32_t ttl_ms;     /* [10 s] how long a lease lasts that is not renewed */
    ex_metrics *metrics; /* nullable */
} ex_leases_options;

/** Join: register this node under a new id and begin to beat. The tables are there (pg_lease.h).
 *  @return EX_OK; as ex_pg_open; EX_EDATABASE (no tables, no grant); EX_ENOMEM, EX_EAGAIN (thread)
 *  Blocking: one round trip. */
EX_NODISCARD ex_status ex_leases_start(const ex_leases_options *options, ex_leases **ret,
                                       ex_error *err);
/** Leave: give every lease back, so that others take them at once. Every lease was dropped.
 *  NULL is accepted. Blocking: one round trip, at most the lease time. */
void ex_leases_stop(ex_leases *n);
/** The node ends: nothing is waited for past `deadline_ns` (monotonic, the system's clock). */
void ex_leases_end_by(ex_leases *n, uint64_t deadline_ns);
/** Where clients reach this node, for people; known once its server listens. */
void ex_leases_set_address(ex_leases *n, const char *address);
/** The id of this node: another one at each start. Nil without a URL. */
ex_id ex_leases_id(const ex_leases *n);

/** A lease came or went. Must only signal. Thread: the node's. */
typedef void ex_lease_wake_fn(void *ctx);

/** Want a lease. Comes when it is free and this node's share is not used up; without a URL it is
 *  held when this returns. A name is wanted once at a time.
 *  @param ret stays the node's; until ex_lease_drop
 *  @return EX_OK, EX_EINVAL (name), EX_ENOMEM. Blocking: no. */
EX_NODISCARD ex_status ex_lease_want(ex_leases *n, const char *name, ex_lease_wake_fn *wake,
                                     void *ctx, ex_lease **ret, ex_error *err);
/** Want it no longer and give it back soon. After it returned, wake is not running and is not
 *  called again. NULL is accepted. Blocking: while wake runs. */
void ex_lease_drop(ex_lease *l);

/** The work has failed for `failing_ms`, for a reason that may be this node's own. After a whole
 *  lease time of that, and only when another live node wants the lease, it is given back and not
 *  wanted for two lease times. Otherwise nothing happens. Blocking: no. */
void ex_lease_yield(ex_lease *l, uint64_t failing_ms);

/** Wait until the node has looked at what is wanted so far, and so taken what is free and its
 * share.
 *  @return false when it could not within the time. Blocking: at most timeout_ms. */
bool ex_leases_wait(ex_leases *n, uint32_t timeout_ms);

/** Is it ours, as far as is known without asking? @param ret_token nullable, for ex_lease_prove */
bool ex_lease_is_held(ex_lease *l, uint64_t *ret_token);
/** First statement of a transaction that does the lease's work. On success nobody else takes the
 *  lease until the transaction ends; the server ends it when it stands idle for the lease time, so
 *  that a node that is stopped in the middle of one holds nobody up for longer.
 *  @param db    in a transaction
 *  @param token as ex_lease_is_held gave it when the work began
 *  @return EX_OK; EX_EPRECONDITION (the lease is another's or free: roll back and wait for it); as
 *          ex_sql_step. Thread: db's. Blocking: one round trip. */
EX_NODISCARD ex_status ex_lease_prove(ex_lease *l, uint64_t token, ex_sql *db, ex_error *err);

#endif
