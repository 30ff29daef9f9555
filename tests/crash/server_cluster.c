/* server_cluster.c: see server_cluster.h. */
#include "crash/server_cluster.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash/server_run.h"

#define LINES      3
#define SAME_NODE  20    /* requests before another node is tried */
#define GIVE_UP_MS 60000 /* a command that nobody answers */

/* ---- Looking into the database ---- */

static void must(ex_status st, const ex_error *err, const char *what)
{
    if (st)
        run_fail("%s: %s", what, err->message);
}

int64_t cluster_ask(server_cluster *c, const char *sql)
{
    ex_error err = {0};
    ex_pg_result r = {0};
    must(ex_pg_run(c->pg, ex_str(sql), NULL, &r, &err), &err, sql);
    int64_t value = r.rows ? ex_pg_get_i64(&r, 0, 0) : 0;
    ex_pg_result_free(&r);
    return value;
}

unsigned cluster_holder(server_cluster *c, const char *lease)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT pid FROM nodes n JOIN leases l ON l.holder = n.id"
             " WHERE l.name = '%s' AND l.expires_at > now()",
             lease);
    int64_t pid = cluster_ask(c, sql);
    unsigned node = 0;
    while (node < CLUSTER_NODES && (pid == 0 || c->nodes[node].pid != pid))
        node++;
    return node;
}

/* ---- Nodes ---- */

static void drop_schemas(server_cluster *c)
{
    ex_error err = {0};
    char sql[256];
    snprintf(sql, sizeof sql,
             "SET client_min_messages = error; DROP SCHEMA IF EXISTS %s CASCADE;"
             " DROP SCHEMA IF EXISTS %s_views CASCADE",
             c->schema, c->schema);
    must(ex_pg_script(c->pg, sql, &err), &err, "drop the schemas");
}

void cluster_init(server_cluster *c, const char *lease)
{
    ex_error err = {0};
    memset(c, 0, sizeof *c);
    c->dir = temp_dir_make();
    run.dir = c->dir.path;
    (void)postgres_schema_url(postgres_url(), "nodes", c->url);
    must(ex_pg_open(&(ex_pg_options){.url = c->url}, &c->pg, &err), &err, "connect");
    snprintf(c->schema, sizeof c->schema, "%s", ex_pg_target_of(c->pg)->schema);
    drop_schemas(c);
    for (int i = 0; i < CLUSTER_NODES; i++) {
        snprintf(c->logs[i], sizeof c->logs[i], "%s/server-%d.log", c->dir.path, i);
        c->options[i] = (server_options){
            .data = c->url, .log = c->logs[i], .app = ORDERS_APP, .settings = {lease}};
    }
    c->orders = server_orders_new();
    c->log = server_log_new(c->orders);
}

void cluster_start(server_cluster *c, unsigned node)
{
    server_start(&c->nodes[node], &c->options[node]);
    cluster_use(c, node);
}

void cluster_avoid(server_cluster *c, unsigned node)
{
    atomic_store(&c->ports[node], 0);
}

void cluster_use(server_cluster *c, unsigned node)
{
    atomic_store(&c->ports[node], c->nodes[node].port);
}

void cluster_kill(server_cluster *c, unsigned node)
{
    cluster_avoid(c, node);
    (void)server_signal(&c->nodes[node], SIGKILL); /* the status tells */
    server_was_killed(&c->nodes[node]);
}

void cluster_end(server_cluster *c, unsigned node)
{
    cluster_avoid(c, node);
    (void)server_signal(&c->nodes[node], SIGTERM); /* the status tells */
    server_ended_in_order(&c->nodes[node]);
}

void cluster_done(server_cluster *c)
{
    for (unsigned i = 0; i < CLUSTER_NODES; i++)
        if (c->nodes[i].pid)
            cluster_end(c, i);
    for (int i = 0; i < CLUSTER_WRITERS; i++) {
        for (size_t k = 0; k < c->writers[i].count; k++)
            attempt_free(c->writers[i].attempts[k]);
        free(c->writers[i].attempts);
    }
    drop_schemas(c);
    ex_pg_close(c->pg);
    server_log_free(c->log);
    server_orders_free(c->orders);
    run.dir = NULL;
    temp_dir_remove(&c->dir);
}

/* ---- Writers ---- */

/* create, add-item three times, submit, confirm; then the next order. */
static attempt *next_attempt(cluster_writer *w)
{
    char order[32], payload[160] = "";
    const char *command = "add-item";
    uint64_t number = atomic_fetch_add(&w->cluster->numbers, 1) + 1;
    snprintf(order, sizeof order, "w%u-%u", w->index, w->order);
    if (w->step == 0) {
        command = "create";
        snprintf(payload, sizeof payload, "{\"customer_id\":\"c-%u\"}", w->index);
    } else if (w->step <= LINES) {
        snprintf(payload, sizeof payload,
                 "{\"product_id\":\"p-%" PRIu64 "\",\"product_name\":\"thing\",\"quantity\":%u,"
                 "\"unit_price_cents\":%u}",
                 number, 1 + run_below(&w->random, 5), 1 + run_below(&w->random, 900));
    } else {
        command = w->step == LINES + 1 ? "submit" : "confirm";
    }
    w->step++;
    if (w->step == LINES + 3) {
        w->step = 0;
        w->order++;
    }
    attempt *a = attempt_new_command(number, order, command, payload, true);
    a->must_succeed = true;
    return a;
}

static uint16_t pick_port(cluster_writer *w)
{
    uint16_t port = 0;
    for (int tries = 0; port == 0 && tries < 100; tries++)
        port = (uint16_t)atomic_load(&w->cluster->ports[run_below(&w->random, CLUSTER_NODES)]);
    return port;
}

/* Until a node answers. `client` has a connection or none. */
static void bring_through(cluster_writer *w, attempt *a, http_client *client, bool *is_open)
{
    uint64_t give_up_ms = run_now_ms() + GIVE_UP_MS;
    for (uint64_t tries = 0;; tries++) {
        uint16_t port = *is_open ? 1 : pick_port(w);
        if (!*is_open)
            *is_open = port && http_client_open(client, port);
        if (*is_open && attempt_send(a, client) && a->state != ATTEMPT_REFUSED &&
            a->state != ATTEMPT_UNKNOWN)
            break;
        if (*is_open)
            http_client_close(client);
        *is_open = false;
        atomic_fetch_add(&w->cluster->resent, 1);
        if (run_now_ms() > give_up_ms)
            run_fail("%s: no node answers", attempt_text(a));
        run_sleep_ms(2);
    }
    if (a->state != ATTEMPT_DONE)
        run_fail("%s: answered %d %s", attempt_text(a), a->answer.status, a->answer.code);
}

static void keep(cluster_writer *w, attempt *a)
{
    if (w->count == w->room) {
        w->room = w->room ? 2 * w->room : 1024;
        w->attempts = realloc(w->attempts, w->room * sizeof(*w->attempts));
        run_need(w->attempts != NULL);
    }
    w->attempts[w->count++] = a;
}

static void *write_on(void *arg)
{
    cluster_writer *w = arg;
    http_client client;
    bool is_open = false;
    for (unsigned sent = 1; !atomic_load(&w->cluster->is_ending); sent++) {
        attempt *a = next_attempt(w);
        bring_through(w, a, &client, &is_open);
        keep(w, a);
        if (is_open && sent % SAME_NODE == 0) {
            http_client_close(&client);
            is_open = false;
        }
    }
    if (is_open)
        http_client_close(&client);
    return NULL;
}

void cluster_write(server_cluster *c)
{
    atomic_store(&c->is_ending, false);
    for (unsigned i = 0; i < CLUSTER_WRITERS; i++) {
        cluster_writer *w = &c->writers[i];
        w->cluster = c;
        w->index = i;
        w->random = run_random(i, 7);
        run_need(pthread_create(&w->thread, NULL, write_on, w) == 0);
    }
}

static uint16_t any_port(server_cluster *c)
{
    for (int i = 0; i < CLUSTER_NODES; i++)
        if (atomic_load(&c->ports[i]))
            return (uint16_t)atomic_load(&c->ports[i]);
    run_fail("no node is left");
}

void cluster_stop_writing(server_cluster *c)
{
    atomic_store(&c->is_ending, true);
    for (int i = 0; i < CLUSTER_WRITERS; i++)
        run_need(pthread_join(c->writers[i].thread, NULL) == 0);
    server_log_read(c->log, any_port(c));
    for (int i = 0; i < CLUSTER_WRITERS; i++)
        for (size_t k = 0; k < c->writers[i].count; k++)
            server_log_check(c->log, c->writers[i].attempts[k]);
}
