/* presence.c: see presence.h. */
#include "store/postgres/presence.h"

/* A lock by one 64-bit key shows it in two halves, with objsubid 1. */
static const char sql_is_locked[] =
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    " AND (classid::bigint << 32) | objid::bigint = " PG_PRESENCE_KEY "),"
    " coalesce(has_table_privilege(to_regclass('nodes'), 'SELECT'), false),"
    " pg_is_in_recovery()";
static const char sql_has_nodes[] = "SELECT EXISTS (SELECT 1 FROM nodes WHERE expires_at > now())";

ex_status pg_presence_ask(ex_pg *pg, bool *ret, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(pg, ex_str(sql_is_locked), NULL, &r, err);
    if (!st && ex_pg_get_bool(&r, 0, 2))
        st = ex_raise(err, EX_EAGAIN, "a standby does not know who writes on its primary");
    bool is_there = !st && ex_pg_get_bool(&r, 0, 0);
    bool may_look = !st && ex_pg_get_bool(&r, 0, 1);
    ex_pg_result_free(&r);
    if (!st && !is_there && may_look) {
        st = ex_pg_run(pg, ex_str(sql_has_nodes), NULL, &r, err);
        is_there = !st && ex_pg_get_bool(&r, 0, 0);
        ex_pg_result_free(&r);
    }
    if (!st)
        *ret = is_there;
    return st;
}
