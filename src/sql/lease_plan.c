/* lease_plan.c: see lease_plan.h. */
#include "sql/lease_plan.h"

static bool wants(const lease_cluster *c, uint32_t node, uint32_t lease)
{
    return c->wants[(size_t)node * c->lease_count + lease];
}

/* How many hold more; among equals the order of the rows decides. */
static uint32_t rank_of(const lease_cluster *c, uint32_t node)
{
    uint32_t rank = 0;
    for (uint32_t i = 0; i < c->node_count; i++)
        rank += c->nodes[i].held > c->nodes[node].held ||
                (c->nodes[i].held == c->nodes[node].held && i < node);
    return rank;
}

static uint32_t quota_of(const lease_cluster *c, uint32_t node)
{
    return c->lease_count / c->node_count + (rank_of(c, node) < c->lease_count % c->node_count);
}

/* Within the quota whatever is free; beyond it what nobody else took for a lease time. */
static void plan_taking(const lease_cluster *c, uint32_t me, uint32_t quota, uint32_t ttl_ms,
                        lease_plan *p)
{
    uint32_t held = c->nodes[me].held;
    bool is_below = held < quota;
    for (uint32_t i = 0; i < c->lease_count; i++) {
        bool is_left_over = c->leases[i].left_ms <= -(int64_t)ttl_ms;
        if (c->leases[i].is_free && wants(c, me, i) && (is_below || is_left_over))
            p->take[p->take_count++] = i;
    }
    p->take_limit = is_below ? quota - held : p->take_count;
}

/* A node below its quota that wants the lease; `room` keeps how many each may still get. */
static bool find_taker(const lease_cluster *c, uint32_t lease, uint32_t *room)
{
    for (uint32_t i = 0; i < c->node_count; i++) {
        if (room[i] && wants(c, i, lease)) {
            room[i]--;
            return true;
        }
    }
    return false;
}

static void plan_giving(const lease_cluster *c, uint32_t surplus, uint32_t *room, lease_plan *p)
{
    for (uint32_t i = 0; i < c->lease_count && p->give_count < surplus; i++)
        if (c->leases[i].is_mine && find_taker(c, i, room))
            p->give[p->give_count++] = i;
}

ex_status lease_plan_make(const lease_cluster *c, uint32_t ttl_ms, ex_arena *arena, lease_plan *ret,
                          ex_error *err)
{
    lease_plan p = {0};
    uint32_t me = 0;
    while (me < c->node_count && !c->nodes[me].is_me)
        me++;
    if (me == c->node_count || c->lease_count == 0) {
        *ret = p; /* wants nothing */
        return EX_OK;
    }
    uint32_t *room = ex_arena_array(arena, c->node_count, sizeof(*room));
    p.take = ex_arena_array(arena, c->lease_count, sizeof(*p.take));
    p.give = ex_arena_array(arena, c->lease_count, sizeof(*p.give));
    if (!room || !p.take || !p.give)
        return ex_raise(err, EX_ENOMEM, "no memory to share leases out");
    for (uint32_t i = 0; i < c->node_count; i++) {
        uint32_t quota = quota_of(c, i);
        room[i] = quota > c->nodes[i].held ? quota - c->nodes[i].held : 0;
    }
    uint32_t quota = quota_of(c, me);
    plan_taking(c, me, quota, ttl_ms, &p);
    if (c->nodes[me].held > quota)
        plan_giving(c, c->nodes[me].held - quota, room, &p);
    *ret = p;
    return EX_OK;
}
