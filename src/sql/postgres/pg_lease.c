/* pg_lease.c: see pg_lease.h.
 *
 * now() is the time at which a group of statements began. Where a statement had to wait it lies in
 * the past: a lease is then renewed for less and seen as over later, never the other way round. */
#include "sql/postgres/pg_lease.h"

#include <stdio.h>

#include <excore/id.h>

/* clang-format off */
const char pg_lease_schema[] =
    "CREATE TABLE nodes (id uuid PRIMARY KEY, host text NOT NULL, pid bigint NOT NULL,"
    "  address text NOT NULL, version text NOT NULL, work text[] COLLATE \"C\" NOT NULL,"
    "  started_at timestamptz NOT NULL DEFAULT now(), seen_at timestamptz NOT NULL,"
    "  expires_at timestamptz NOT NULL);"
    "CREATE TABLE leases (name text COLLATE \"C\" PRIMARY KEY, holder uuid,"
    "  token bigint NOT NULL DEFAULT 0, taken_at timestamptz,"
    "  expires_at timestamptz NOT NULL DEFAULT now());"
    "COMMENT ON TABLE leases IS 'which node does which work; see docs/postgresql.md';";

#define LIVE "expires_at > now()"
#define TTL(n) "now() + $" #n " * interval '1 millisecond'"

/* id, ttl, host, pid, address, version, work */
static const char sql_be_seen[] =
    "INSERT INTO nodes (id, expires_at, host, pid, address, version, work, seen_at)"
    " VALUES ($1, " TTL(2) ", $3, $4, $5, $6, $7, now())"
    " ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, address = excluded.address,"
    " work = excluded.work, seen_at = excluded.seen_at";
static const char sql_add_leases[] =
    "INSERT INTO leases (name) SELECT unnest($1::text[]) ORDER BY 1 ON CONFLICT DO NOTHING";
static const char sql_forget_nodes[] =
    "DELETE FROM nodes WHERE expires_at < now() - interval '1 hour'";
/* id, ttl, names, tokens */
static const char sql_renew[] =
    "UPDATE leases SET expires_at = " TTL(2) " WHERE holder = $1 AND (name, token) IN"
    " (SELECT * FROM unnest($3::text[], $4::bigint[])) RETURNING name, token";
static const char sql_leases[] =
    "SELECT name, CASE WHEN " LIVE " THEN holder END,"
    " (extract(epoch FROM expires_at - now()) * 1000)::bigint FROM leases"
    " WHERE name IN (SELECT unnest(work) FROM nodes WHERE " LIVE ") ORDER BY name";
static const char sql_nodes[] =
    "SELECT id, name FROM nodes, unnest(work) name WHERE " LIVE " ORDER BY id, name COLLATE \"C\"";
/* id, ttl, names, limit */
static const char sql_take[] =
    "UPDATE leases l SET holder = $1, token = l.token + 1, taken_at = now(), expires_at = " TTL(2)
    " FROM (SELECT name FROM leases WHERE name = ANY($3::text[])"
    "  AND (holder IS NULL OR holder = $1 OR expires_at <= now()) ORDER BY name LIMIT $4"
    "  FOR UPDATE SKIP LOCKED) f"
    " WHERE l.name = f.name RETURNING l.name, l.token";
/* id, names, tokens */
static const char sql_give[] =
    "UPDATE leases SET holder = NULL, expires_at = now() WHERE holder = $1 AND (name, token) IN"
    " (SELECT * FROM unnest($2::text[], $3::bigint[]))";
static const char sql_give_all[] =
    "UPDATE leases SET holder = NULL, expires_at = now() WHERE holder = $1";
static const char sql_be_gone[] = "UPDATE nodes SET expires_at = now(), work = '{}' WHERE id = $1";
static const char sql_tell[] = "SELECT pg_notify($1, '')";
/* clang-format on */

/* ---- Arguments ---- */

static void put_names(ex_pg_args *a, const ex_slice *names, uint32_t count)
{
    ex_pg_array_begin(a, EX_PG_TEXT);
    for (uint32_t i = 0; i < count; i++)
        ex_pg_put_text(a, names[i]);
    ex_pg_array_end(a);
}

static void put_held(ex_pg_args *a, const pg_lease_list *list)
{
    ex_pg_array_begin(a, EX_PG_TEXT);
    for (uint32_t i = 0; i < list->count; i++)
        ex_pg_put_text(a, list->items[i].name);
    ex_pg_array_end(a);
    ex_pg_array_begin(a, EX_PG_INT8);
    for (uint32_t i = 0; i < list->count; i++)
        ex_pg_put_i64(a, (int64_t)list->items[i].token);
    ex_pg_array_end(a);
}

/* The arguments of the statement that is sent are used again for the next. */
static ex_status send(ex_pg *pg, const char *sql, ex_pg_args *a, ex_error *err)
{
    ex_status st = ex_pg_send(pg, ex_str(sql), a, err);
    ex_pg_args_reset(a);
    return st;
}

static const char *channel_of(const ex_pg *pg, char out[EX_PG_NAME_SIZE])
{
    /* fits: a schema has at most 48 bytes */
    (void)snprintf(out, EX_PG_NAME_SIZE, "leases_%.48s", ex_pg_target_of(pg)->schema);
    return out;
}

static ex_status send_tell(ex_pg *pg, ex_pg_args *a, ex_error *err)
{
    char channel[EX_PG_NAME_SIZE];
    ex_pg_put_text(a, ex_str(channel_of(pg, channel)));
    return send(pg, sql_tell, a, err);
}

/* Send what is queued and take every answer away. */
static ex_status finish(ex_pg *pg, ex_status st, ex_pg_args *a, ex_error *err)
{
    ex_pg_args_done(a);
    st = st ? st : ex_pg_sync(pg, err);
    return st ? st : ex_pg_recv_all(pg, err);
}

/* ---- Beat ---- */

static ex_status send_beat(ex_pg *pg, const pg_lease_node *node, const ex_slice *wanted,
                           uint32_t wanted_count, bool is_new, const pg_lease_list *held,
                           ex_pg_args *a, ex_error *err)
{
    ex_pg_put_uuid(a, node->id);
    ex_pg_put_i64(a, node->ttl_ms);
    ex_pg_put_text(a, ex_str(node->host));
    ex_pg_put_i64(a, node->pid);
    ex_pg_put_text(a, ex_str(node->address));
    ex_pg_put_text(a, ex_str(node->version));
    put_names(a, wanted, wanted_count);
    ex_status st = send(pg, sql_be_seen, a, err);
    if (!st && is_new) {
        put_names(a, wanted, wanted_count);
        st = send(pg, sql_add_leases, a, err);
        st = st ? st : send(pg, sql_forget_nodes, a, err);
        st = st ? st : send_tell(pg, a, err);
    }
    if (!st) {
        ex_pg_put_uuid(a, node->id);
        ex_pg_put_i64(a, node->ttl_ms);
        put_held(a, held);
        st = send(pg, sql_renew, a, err);
    }
    st = st ? st : send(pg, sql_leases, a, err);
    st = st ? st : send(pg, sql_nodes, a, err);
    return st ? st : ex_pg_sync(pg, err);
}

static ex_status read_list(const ex_pg_result *r, ex_arena *arena, pg_lease_list *ret,
                           ex_error *err)
{
    pg_lease_list list = {0};
    list.items = ex_arena_array(arena, r->rows ? (size_t)r->rows : 1, sizeof(*list.items));
    if (!list.items)
        return ex_raise(err, EX_ENOMEM, "no memory for leases");
    for (; list.count < (uint32_t)r->rows; list.count++) {
        pg_lease_held *item = &list.items[list.count];
        item->name = ex_arena_copy(arena, ex_pg_get_slice(r, (int)list.count, 0));
        item->token = (uint64_t)ex_pg_get_i64(r, (int)list.count, 1);
        if (!item->name.ptr)
            return ex_raise(err, EX_ENOMEM, "no memory for leases");
    }
    *ret = list;
    return EX_OK;
}

static ex_status read_leases(const ex_pg_result *r, const pg_lease_node *node, ex_arena *arena,
                             lease_cluster *c, ex_error *err)
{
    ex_slice me = ex_slice_of(node->id, sizeof(node->id));
    c->lease_count = (uint32_t)r->rows;
    c->leases = ex_arena_array(arena, c->lease_count ? c->lease_count : 1, sizeof(*c->leases));
    for (uint32_t i = 0; c->leases && i < c->lease_count; i++) {
        c->leases[i] = (lease_row){
            .name = ex_arena_copy(arena, ex_pg_get_slice(r, (int)i, 0)),
            .is_mine = ex_slice_eq(ex_pg_get_slice(r, (int)i, 1), me),
            .is_free = ex_pg_is_null(r, (int)i, 1),
            .left_ms = ex_pg_get_i64(r, (int)i, 2),
        };
        if (!c->leases[i].name.ptr)
            c->leases = NULL;
    }
    return c->leases ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory for leases");
}

static uint32_t held_by(const ex_pg_result *leases, ex_slice id)
{
    uint32_t held = 0;
    for (int i = 0; i < leases->rows; i++)
        held += ex_slice_eq(ex_pg_get_slice(leases, i, 1), id);
    return held;
}

/* Both lists are sorted by name, and every name of a node is a lease. */
static void mark_wants(const ex_pg_result *nodes, int from, int upto, lease_cluster *c, bool *wants)
{
    uint32_t lease = 0;
    for (int row = from; row < upto; row++) {
        ex_slice name = ex_pg_get_slice(nodes, row, 1);
        while (lease < c->lease_count && ex_slice_cmp(c->leases[lease].name, name) < 0)
            lease++;
        if (lease < c->lease_count && ex_slice_eq(c->leases[lease].name, name))
            wants[lease] = true;
    }
}

static ex_status read_nodes(const ex_pg_result *r, const ex_pg_result *leases,
                            const pg_lease_node *node, ex_arena *arena, lease_cluster *c,
                            ex_error *err)
{
    uint32_t count = 0;
    for (int i = 0; i < r->rows; i++)
        count += i == 0 || !ex_slice_eq(ex_pg_get_slice(r, i, 0), ex_pg_get_slice(r, i - 1, 0));
    size_t cells = (size_t)count * c->lease_count;
    c->nodes = ex_arena_array(arena, count ? count : 1, sizeof(*c->nodes));
    c->wants = ex_arena_zalloc(arena, cells ? cells * sizeof(*c->wants) : 1);
    if (!c->nodes || !c->wants)
        return ex_raise(err, EX_ENOMEM, "no memory for nodes");
    for (int from = 0, upto; from < r->rows; from = upto) {
        ex_slice id = ex_pg_get_slice(r, from, 0);
        for (upto = from + 1; upto < r->rows && ex_slice_eq(ex_pg_get_slice(r, upto, 0), id);)
            upto++;
        c->nodes[c->node_count] =
            (lease_member){.is_me = ex_slice_eq(id, ex_slice_of(node->id, sizeof(node->id))),
                           .held = held_by(leases, id)};
        mark_wants(r, from, upto, c, c->wants + (size_t)c->node_count * c->lease_count);
        c->node_count++;
    }
    return EX_OK;
}

static ex_status skip(ex_pg *pg, int count, ex_error *err)
{
    ex_status st = EX_OK;
    for (int i = 0; !st && i < count; i++)
        st = ex_pg_recv(pg, NULL, err);
    return st;
}

ex_status pg_lease_beat(ex_pg *pg, const pg_lease_node *node, const ex_slice *wanted,
                        uint32_t wanted_count, bool is_new, const pg_lease_list *held,
                        ex_arena *arena, lease_cluster *ret, pg_lease_list *renewed, ex_error *err)
{
    ex_pg_args args;
    ex_pg_result kept = {0}, leases = {0}, nodes = {0};
    lease_cluster c = {0};
    ex_pg_args_init(&args);
    ex_status st = send_beat(pg, node, wanted, wanted_count, is_new, held, &args, err);
    st = st ? st : skip(pg, is_new ? 4 : 1, err);
    st = st ? st : ex_pg_recv(pg, &kept, err);
    st = st ? st : ex_pg_recv(pg, &leases, err);
    st = st ? st : ex_pg_recv(pg, &nodes, err);
    st = st ? st : read_leases(&leases, node, arena, &c, err);
    st = st ? st : read_nodes(&nodes, &leases, node, arena, &c, err);
    st = st ? st : read_list(&kept, arena, renewed, err);
    if (!st)
        *ret = c;
    ex_pg_result_free(&kept);
    ex_pg_result_free(&leases);
    ex_pg_result_free(&nodes);
    ex_pg_args_done(&args);
    return st;
}

/* ---- Taking and giving ---- */

ex_status pg_lease_take(ex_pg *pg, const pg_lease_node *node, const ex_slice *names, uint32_t count,
                        uint32_t limit, ex_arena *arena, pg_lease_list *taken, ex_error *err)
{
    ex_pg_args args;
    ex_pg_result r = {0};
    ex_pg_args_init(&args);
    ex_pg_put_uuid(&args, node->id);
    ex_pg_put_i64(&args, node->ttl_ms);
    put_names(&args, names, count);
    ex_pg_put_i64(&args, limit);
    ex_status st = ex_pg_run(pg, ex_str(sql_take), &args, &r, err);
    st = st ? st : read_list(&r, arena, taken, err);
    ex_pg_result_free(&r);
    ex_pg_args_done(&args);
    return st;
}

ex_status pg_lease_give(ex_pg *pg, const pg_lease_node *node, const pg_lease_list *list,
                        ex_error *err)
{
    ex_pg_args args;
    ex_pg_args_init(&args);
    ex_pg_put_uuid(&args, node->id);
    put_held(&args, list);
    ex_status st = send(pg, sql_give, &args, err);
    st = st ? st : send_tell(pg, &args, err);
    return finish(pg, st, &args, err);
}

ex_status pg_lease_leave(ex_pg *pg, const pg_lease_node *node, ex_error *err)
{
    ex_pg_args args;
    ex_pg_args_init(&args);
    ex_pg_put_uuid(&args, node->id);
    ex_status st = send(pg, sql_give_all, &args, err);
    ex_pg_put_uuid(&args, node->id);
    st = st ? st : send(pg, sql_be_gone, &args, err);
    st = st ? st : send_tell(pg, &args, err);
    return finish(pg, st, &args, err);
}

ex_status pg_lease_listen(ex_pg *pg, ex_error *err)
{
    char channel[EX_PG_NAME_SIZE];
    return ex_pg_listen(pg, channel_of(pg, channel), err);
}

/* ---- Proof ---- */

ex_status pg_lease_prove(ex_sql *db, const char *schema, const pg_lease_node *node,
                         const char *name, uint64_t token, ex_error *err)
{
    char sql[256], idle_ms[16], id_text[EX_ID_TEXT_SIZE];
    ex_id id = {.form = EX_ID_UUID};
    ex_sql_stmt *s = NULL;
    memcpy(id.bytes, node->id, sizeof(id.bytes));
    (void)snprintf(sql, sizeof(sql), /* fits: a schema has at most 48 bytes */
                   "SELECT set_config('idle_in_transaction_session_timeout', $4, true)"
                   " FROM \"%s\".leases WHERE name = $1 AND token = $2 AND holder = $3::uuid"
                   " FOR KEY SHARE",
                   schema);
    (void)snprintf(idle_ms, sizeof(idle_ms), "%u", (unsigned)node->ttl_ms);
    ex_status st = ex_sql_prepare(db, ex_str(sql), &s, err);
    if (st)
        return st;
    ex_sql_bind_text(s, 1, ex_str(name));
    ex_sql_bind_i64(s, 2, (int64_t)token);
    ex_sql_bind_text(s, 3, ex_id_text(&id, id_text));
    ex_sql_bind_text(s, 4, ex_str(idle_ms));
    st = ex_sql_step(s, err);
    ex_sql_reset(s);
    if (st == EX_EEND)
        st = ex_raise(err, EX_EPRECONDITION, "the lease '%s' is held by another node", name);
    return st;
}
