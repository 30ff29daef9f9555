/* pg_lease.h: the tables of nodes and leases in PostgreSQL, and the statements on them.
 *
 *   nodes   id uuid, host, pid, address, version, work text[] (leases it wants), started_at,
 *           seen_at, expires_at. A row for each start of a process; those that ended are kept for
 * an hour, for people leases  name, holder uuid or NULL, token bigint (rises with each change of
 * holder), taken_at, expires_at
 *
 * All times are the database's. A lease is free when it has no holder or is over.
 *
 *   renew   UPDATE of expires_at: it does not wait for proofs, nor they for it
 *   prove   SELECT … FOR KEY SHARE by name, holder and token, until the transaction's end
 *   take    SELECT … FOR UPDATE SKIP LOCKED: not while a proof stands, and without waiting for it
 *   give    UPDATE of holder: taken by another only when the last proof ended */
#ifndef EXCORE_SQL_POSTGRES_PG_LEASE_H
#define EXCORE_SQL_POSTGRES_PG_LEASE_H

#include "sql/lease_plan.h"
#include "sql/postgres/pg_conn.h"
#include "sql/sql.h"

/** Makes the two tables; one migration. */
extern const char pg_lease_schema[];

typedef struct pg_lease_node {
    uint8_t id[16];
    const char *host, *address, *version;
    int64_t pid;
    uint32_t ttl_ms;
} pg_lease_node;

typedef struct pg_lease_held {
    ex_slice name;
    uint64_t token;
} pg_lease_held;

typedef struct pg_lease_list {
    pg_lease_held *items;
    uint32_t count;
} pg_lease_list;

/** Be seen, renew, look at the others; one round trip.
 *  @param wanted  names; `is_new`: some may not be in the table yet
 *  @param held    what to renew
 *  @param ret     in the arena
 *  @param renewed what of `held` is still ours, in the arena */
EX_NODISCARD ex_status pg_lease_beat(ex_pg *pg, const pg_lease_node *node, const ex_slice *wanted,
                                     uint32_t wanted_count, bool is_new, const pg_lease_list *held,
                                     ex_arena *arena, lease_cluster *ret, pg_lease_list *renewed,
                                     ex_error *err);
/** Take up to `limit` of the named leases, as far as they are free, or this node's under a token
 * that it holds no more; one round trip. */
EX_NODISCARD ex_status pg_lease_take(ex_pg *pg, const pg_lease_node *node, const ex_slice *names,
                                     uint32_t count, uint32_t limit, ex_arena *arena,
                                     pg_lease_list *taken, ex_error *err);
/** Give leases back and tell the others; one round trip. */
EX_NODISCARD ex_status pg_lease_give(ex_pg *pg, const pg_lease_node *node,
                                     const pg_lease_list *list, ex_error *err);
/** Leave: give everything back, be gone, tell the others; one round trip. */
EX_NODISCARD ex_status pg_lease_leave(ex_pg *pg, const pg_lease_node *node, ex_error *err);
/** Hear what the others tell: that a node came, left or gave a lease back. */
EX_NODISCARD ex_status pg_lease_listen(ex_pg *pg, ex_error *err);
/** See ex_lease_prove. @param schema where the tables are */
EX_NODISCARD ex_status pg_lease_prove(ex_sql *db, const char *schema, const pg_lease_node *node,
                                      const char *name, uint64_t token, ex_error *err);

#endif
