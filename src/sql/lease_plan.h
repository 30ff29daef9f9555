/* lease_plan.h: what a node should take and give back, from what it saw of the others.
 *
 * Every node has a quota: the leases spread evenly, the larger shares to those who hold more, so
 * that as few as possible change hands. All nodes compute the same quotas from the same rows, and
 * the quotas together are as many as the leases, so it comes to rest. A node below its quota takes
 * what is free; one above it gives back what a node below wants. Nodes that want different work (a
 * roll-out, a node without the application) may leave a lease that nobody below a quota wants: it
 * is taken beyond the quota after it was free for a whole lease time. */
#ifndef EXCORE_SQL_LEASE_PLAN_H
#define EXCORE_SQL_LEASE_PLAN_H

#include <excore/arena.h>
#include <excore/error.h>

typedef struct lease_row {
    ex_slice name;
    bool is_mine;    /* held by this node */
    bool is_free;    /* nobody's, or over */
    int64_t left_ms; /* until it ends; below 0: free for so long */
} lease_row;

typedef struct lease_member {
    bool is_me;
    uint32_t held;
} lease_member;

/** The live nodes that want work, and the leases that any of them wants. */
typedef struct lease_cluster {
    lease_row *leases;
    uint32_t lease_count;
    lease_member *nodes;
    uint32_t node_count;
    bool *wants; /* [node * lease_count + lease] */
} lease_cluster;

typedef struct lease_plan {
    uint32_t *take; /* leases to try, in the arena */
    uint32_t take_count;
    uint32_t take_limit; /* no more than so many of them */
    uint32_t *give;      /* leases to give back */
    uint32_t give_count;
} lease_plan;

/** @param arena for what is in ret. @return EX_OK, EX_ENOMEM. Thread: any. Blocking: no. */
EX_NODISCARD ex_status lease_plan_make(const lease_cluster *c, uint32_t ttl_ms, ex_arena *arena,
                                       lease_plan *ret, ex_error *err);

#endif
