/* server_clients.c: see server_clients.h. */
#include "crash/server_clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "crash/server_run.h"

#define HOT_ORDERS     2
#define HOT_ROUNDS     3 /* then there are new ones */
#define OWN_LINES      3
#define SHARED_STREAMS 4
#define ANSWER_LIMIT   ((size_t)1 << 20)
#define GIVE_UP_MS     60000 /* what is refused all the time */

static uint64_t next_number(server_client *c)
{
    return atomic_fetch_add(&c->load->next_number, 1) + 1;
}

/* ---- What to send ---- */

static attempt *add_item(server_client *c, const char *order)
{
    char payload[160];
    uint64_t number = next_number(c);
    snprintf(payload, sizeof payload,
             "{\"product_id\":\"p-%" PRIu64 "\",\"product_name\":\"thing\",\"quantity\":%u,"
             "\"unit_price_cents\":%u}",
             number, 1 + run_below(&c->random, 5), 1 + run_below(&c->random, 900));
    return attempt_new_command(number, order, "add-item", payload, run_below(&c->random, 4) > 0);
}

static attempt *create(server_client *c, const char *order)
{
    char payload[64];
    snprintf(payload, sizeof payload, "{\"customer_id\":\"c-%u\"}", c->index);
    return attempt_new_command(next_number(c), order, "create", payload,
                               run_below(&c->random, 4) > 0);
}

static attempt *plain(server_client *c, const char *order, const char *command)
{
    const char *payload = strcmp(command, "cancel") == 0 ? "{\"reason\":\"test\"}" : "";
    return attempt_new_command(next_number(c), order, command, payload,
                               run_below(&c->random, 4) > 0);
}

static void own_id(const server_client *c, char out[32])
{
    snprintf(out, 32, "own-%u-%u", c->index, c->own_number);
}

/* The next step of its own order's life. */
static attempt *own_step(server_client *c)
{
    char order[32];
    if (c->own_stage == STAGE_CONFIRMED || c->own_stage == STAGE_CANCELLED) {
        c->own_number++;
        c->own_stage = STAGE_NONE;
        c->own_lines = 0;
    }
    own_id(c, order);
    attempt *a;
    bool is_cancelled = run_below(&c->random, 12) == 0;
    if (c->own_stage == STAGE_NONE)
        a = create(c, order);
    else if (is_cancelled)
        a = plain(c, order, "cancel");
    else if (c->own_stage == STAGE_SUBMITTED)
        a = plain(c, order, "confirm");
    else
        a = c->own_lines < OWN_LINES ? add_item(c, order) : plain(c, order, "submit");
    a->must_succeed = true;
    return a;
}

static void own_step_done(server_client *c, const attempt *a)
{
    const char *command = strrchr(a->path, '/') + 1;
    if (strcmp(command, "add-item") == 0)
        c->own_lines++;
    else
        c->own_stage = strcmp(command, "create") == 0    ? STAGE_DRAFT
                       : strcmp(command, "submit") == 0  ? STAGE_SUBMITTED
                       : strcmp(command, "confirm") == 0 ? STAGE_CONFIRMED
                                                         : STAGE_CANCELLED;
}

static attempt *hot_step(server_client *c)
{
    char order[32];
    snprintf(order, sizeof order, "hot-%lu-%u", run.round / HOT_ROUNDS,
             run_below(&c->random, HOT_ORDERS));
    uint32_t dice = run_below(&c->random, 100);
    if (dice < 12)
        return create(c, order);
    if (dice < 96)
        return add_item(c, order);
    return plain(c, order, dice < 97 ? "submit" : dice < 99 ? "confirm" : "cancel");
}

static attempt *shared_append(server_client *c)
{
    char names[3][24];
    const char *streams[3];
    uint32_t count = 1 + run_below(&c->random, 3), first = run_below(&c->random, SHARED_STREAMS);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "shared-%u", (first + i) % SHARED_STREAMS);
        streams[i] = names[i];
    }
    uint32_t events = count + run_below(&c->random, ATTEMPT_EVENTS_MAX - count + 1);
    return attempt_new_append(next_number(c), streams, count, events, -1);
}

static void exact_stream(const server_client *c, char out[32])
{
    snprintf(out, 32, "exact-%u", c->index);
}

static attempt *exact_append(server_client *c)
{
    char name[32];
    const char *streams[] = {name};
    exact_stream(c, name);
    return attempt_new_append(next_number(c), streams, 1,
                              1 + run_below(&c->random, ATTEMPT_EVENTS_MAX),
                              (int64_t)c->exact_version);
}

/* ---- Sending ---- */

static unsigned node_of(const server_client *c)
{
    return c->index % c->load->node_count;
}

static bool is_ending(const server_client *c)
{
    return atomic_load(&c->load->is_ending[node_of(c)]);
}

static bool may_be_refused(const server_client *c)
{
    return is_ending(c) || atomic_load(&c->load->may_refuse);
}

/* A connection that ended is the end of this client, if the server is meant to be ending. */
static bool lost(const server_client *c, const char *what)
{
    if (!is_ending(c))
        run_fail("client %u: no answer to %s from a server that nobody ended", c->index, what);
    return false;
}

static void keep(server_client *c, attempt *a)
{
    if (c->attempt_count == c->attempt_room) {
        c->attempt_room = c->attempt_room ? c->attempt_room * 2 : 256;
        c->attempts = realloc(c->attempts, c->attempt_room * sizeof(attempt *));
        run_need(c->attempts != NULL);
    }
    c->attempts[c->attempt_count++] = a;
}

/* `was_unknown`: an earlier answer to it left open whether it was stored. */
static void judge(const server_client *c, const attempt *a, bool was_unknown)
{
    bool is_fine =
        (a->state == ATTEMPT_DONE && (was_unknown || !a->answer.is_duplicate)) ||
        (a->state == ATTEMPT_REJECTED && !a->must_succeed) ||
        ((a->state == ATTEMPT_REFUSED || a->state == ATTEMPT_UNKNOWN) && may_be_refused(c));
    if (!is_fine)
        run_fail("%s was answered %d %s%s", attempt_text(a), a->answer.status, a->answer.code,
                 a->answer.is_duplicate ? "duplicate" : "");
}

static bool send_new(server_client *c, attempt *a)
{
    uint64_t give_up_ms = run_now_ms() + GIVE_UP_MS;
    bool was_unknown = false;
    keep(c, a);
    for (;;) {
        if (!attempt_send(a, &c->http))
            return lost(c, attempt_text(a));
        judge(c, a, was_unknown);
        bool is_unknown = a->state == ATTEMPT_UNKNOWN;
        was_unknown |= is_unknown;
        if (is_unknown)
            a->state = ATTEMPT_OPEN;
        if ((a->state != ATTEMPT_REFUSED && !is_unknown) || !a->is_repeatable || is_ending(c))
            return true;
        if (run_now_ms() > give_up_ms)
            run_fail("%s is still answered %d %s", attempt_text(a), a->answer.status,
                     a->answer.code);
        run_sleep_ms(5);
        a->state = ATTEMPT_OPEN; /* until the next answer */
    }
}

static bool repeat_one(server_client *c)
{
    const attempt *a = c->attempts[run_below(&c->random, (uint32_t)c->attempt_count)];
    attempt_answer again;
    if (!a->is_repeatable || (a->state != ATTEMPT_DONE && a->state != ATTEMPT_REJECTED))
        return true;
    if (!attempt_send_again(a, &c->http, &again))
        return lost(c, "a repeated attempt");
    if (attempt_state_of(&again) == ATTEMPT_REFUSED && may_be_refused(c))
        return true;
    attempt_check_same(a, &again);
    c->repeated++;
    return true;
}

/* Nobody else writes to the order: its row at the position of the last write is that write's. */
static bool ask_for_own(server_client *c, uint64_t position)
{
    char order[32], path[128];
    http_reply r;
    own_id(c, order);
    snprintf(path, sizeof path, "/v1/orders/order-by-id?order_id=%s&min_position=%" PRIu64, order,
             position);
    unsigned node = run_below(&c->random, c->load->node_count);
    bool is_own = node == node_of(c);
    bool is_answered = is_own ? http_client_call(&c->http, "GET", path, NULL, EX_S(""), &r)
                              : http_call(c->load->ports[node], "GET", path, NULL, EX_S(""), &r);
    if (is_answered && r.status == 200) {
        ex_arena arena;
        ex_arena_init(&arena, ANSWER_LIMIT);
        ex_json answer = run_json(ex_buf_slice(&r.body), &arena);
        const ex_json *item = ex_json_get(&answer, EX_S("item"));
        if (!item || item->kind != EX_JSON_OBJECT || run_number(item, "last_position") != position)
            run_fail("GET %s after the acknowledgement: %.*s", path, EX_ARG(ex_buf_slice(&r.body)));
        c->rows_asked++;
        ex_arena_done(&arena);
    } else if (is_answered && r.status != 503 && r.status != 504) {
        run_fail("GET %s: status %d %.*s", path, r.status, EX_ARG(ex_buf_slice(&r.body)));
    }
    http_reply_done(&r);
    if (!is_answered && !is_own && !atomic_load(&c->load->is_ending[node]))
        run_fail("GET %s: no answer from node %u, which nobody ended", path, node);
    return is_answered || !is_own || lost(c, path);
}

static bool send_own_step(server_client *c)
{
    attempt *a = own_step(c);
    if (!send_new(c, a))
        return false;
    if (a->state != ATTEMPT_DONE)
        return true;
    own_step_done(c, a);
    return run_below(&c->random, 6) > 0 || ask_for_own(c, a->answer.position);
}

static bool send_exact(server_client *c)
{
    attempt *a = exact_append(c);
    if (!send_new(c, a))
        return false;
    if (a->state == ATTEMPT_DONE)
        c->exact_version = a->answer.version;
    return true;
}

static bool step(server_client *c)
{
    uint32_t dice = run_below(&c->random, 100);
    if (dice < 40)
        return send_own_step(c);
    if (dice < 65)
        return send_new(c, hot_step(c));
    if (dice < 80)
        return send_new(c, shared_append(c));
    if (dice < 92 || c->attempt_count == 0)
        return send_exact(c);
    return repeat_one(c);
}

static void *client_main(void *arg)
{
    server_client *c = arg;
    if (http_client_open(&c->http, c->load->ports[node_of(c)]))
        while (step(c) && !atomic_load(&c->load->is_over))
            ;
    else
        (void)lost(c, "connect");
    http_client_close(&c->http);
    return NULL;
}

/* ---- All of them ---- */

void server_load_start(server_load *load, const uint16_t *ports, unsigned node_count,
                       const server_log *log, const server_orders *orders)
{
    load->node_count = node_count;
    for (unsigned i = 0; i < node_count; i++) {
        load->ports[i] = ports[i];
        atomic_store(&load->is_ending[i], false);
    }
    atomic_store(&load->may_refuse, false);
    atomic_store(&load->is_over, false);
    for (unsigned i = 0; i < CLIENTS; i++) {
        server_client *c = &load->clients[i];
        char name[32];
        c->load = load;
        c->index = i;
        c->random = run_random(run.round, i);
        own_id(c, name);
        c->own_stage = server_orders_stage(orders, name, &c->own_lines);
        exact_stream(c, name);
        c->exact_version = server_log_version(log, name);
        if (pthread_create(&c->thread, NULL, client_main, c) != 0)
            run_fail("no thread for a client");
    }
}

void server_load_expect_end(server_load *load, unsigned node)
{
    atomic_store(&load->is_ending[node], true);
}

void server_load_expect_refusals(server_load *load)
{
    atomic_store(&load->may_refuse, true);
}

void server_load_stop(server_load *load)
{
    atomic_store(&load->is_over, true);
}

void server_load_join(server_load *load)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(load->clients[i].thread, NULL);
}

/* No answer came, or 503: now one does, and it fits what the log already had. */
static void settle(const server_log *log, attempt *a, http_client *client)
{
    bool was_stored = server_log_has(log, a->number);
    if (!attempt_send(a, client))
        run_fail("%s: no answer when it was repeated", attempt_text(a));
    bool is_fine = was_stored ? a->state == ATTEMPT_DONE && a->answer.is_duplicate
                              : (a->state == ATTEMPT_DONE && !a->answer.is_duplicate) ||
                                    (a->state == ATTEMPT_REJECTED && !a->must_succeed);
    if (!is_fine)
        run_fail("%s, which the log %s, was answered %d %s when it was repeated", attempt_text(a),
                 was_stored ? "had" : "had not", a->answer.status, a->answer.code);
}

uint64_t server_load_repeat(server_load *load, const server_log *log, uint16_t port,
                            uint64_t *random)
{
    http_client client;
    uint64_t count = 0;
    if (!http_client_open(&client, port))
        run_fail("no connection for repeating");
    for (unsigned i = 0; i < CLIENTS; i++) {
        const server_client *c = &load->clients[i];
        for (size_t k = 0; k < c->attempt_count; k++) {
            attempt *a = c->attempts[k];
            bool is_unsettled = a->state == ATTEMPT_OPEN || a->state == ATTEMPT_REFUSED;
            /* the last ones were in the last batches */
            bool is_wanted =
                is_unsettled || k + 2 >= c->attempt_count || run_below(random, 16) == 0;
            if (!a->is_repeatable || !is_wanted)
                continue;
            if (is_unsettled)
                settle(log, a, &client);
            else
                attempt_repeat(a, &client);
            count++;
        }
    }
    http_client_close(&client);
    return count;
}

void server_load_each(const server_load *load, server_attempt_fn *fn, void *ctx)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < load->clients[i].attempt_count; k++)
            fn(ctx, load->clients[i].attempts[k]);
}

static void check_attempt(void *log, const attempt *a)
{
    server_log_check(log, a);
}

void server_load_check(const server_load *load, const server_log *log)
{
    server_load_each(load, check_attempt, (void *)(uintptr_t)log);
}

void server_load_clear(server_load *load)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        for (size_t k = 0; k < load->clients[i].attempt_count; k++)
            attempt_free(load->clients[i].attempts[k]);
        load->clients[i].attempt_count = 0;
    }
}

void server_load_done(server_load *load)
{
    server_load_clear(load);
    for (unsigned i = 0; i < CLIENTS; i++)
        free(load->clients[i].attempts);
    memset(load, 0, sizeof *load);
}
