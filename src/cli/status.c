/* status.c: the verb `status`: what a store holds and how far its views are.
 *
 * The document of api/status_json.h, made here for a directory or fetched from a
 * server, is printed as it is or as lines for people. */
#include "api/status_json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "cli/target.h"
#include "runtime/view_list.h"
#include "sql/postgres/pg_url.h"
#include "store/lock_file.h"

#include <excore/json.h>

#include <inttypes.h>

/* ---- A directory or a database ---- */

typedef struct listing {
    ex_json_writer *w;
    uint64_t head;
} listing;

static void put_view(void *ctx, const view_list_entry *view)
{
    const listing *l = ctx;
    status_json_view(l->w, view, l->head);
}

static ex_status put_nodes(ex_json_writer *w, const char *url, ex_error *err)
{
    ex_lease_lister *lister = NULL;
    ex_status st = ex_lease_lister_new(url, &lister, err);
    st = st ? st : status_json_nodes(w, lister, err);
    ex_lease_lister_free(lister);
    return st;
}

/* Whether a server or a program has the directory: it knows more than its files tell. */
static ex_status put_writer(ex_json_writer *w, const char *data, ex_error *err)
{
    bool is_held = false;
    if (ex_pg_is_url(data))
        return EX_OK;
    ex_status st = lock_file_is_held(data, &is_held, err);
    if (!st)
        ex_json_bool_member(w, EX_S("in_use"), is_held);
    return st == EX_EREADONLY ? EX_OK : st; /* then it cannot be known from here */
}

static ex_status describe(const char *data, ex_buf *out, ex_error *err)
{
    const ex_store_options options = {.read_only = true, .must_exist = true};
    ex_store *store = NULL;
    ex_store_facts facts = {0};
    ex_json_writer w;
    ex_status st = ex_store_open(data, &options, &store, err);
    if (st == EX_OK)
        st = ex_store_describe(store, &facts, err);
    ex_store_close(store);
    if (st)
        return st;
    status_json_begin(&w, out);
    status_json_store(&w, &facts);
    st = put_writer(&w, data, err);
    if (st)
        return st;
    ex_json_key(&w, EX_S("views"));
    ex_json_begin_array(&w);
    st = view_list_read(data, put_view, &(listing){&w, facts.head}, err);
    ex_json_end_array(&w);
    if (st == EX_OK && ex_pg_is_url(data))
        st = put_nodes(&w, data, err);
    status_json_end(&w);
    return st;
}

static ex_status fetch(const char *url, ex_buf *out, ex_error *err)
{
    remote *r = NULL;
    ex_slice answer = {0};
    ex_status st = remote_open(url, &r, err);
    if (st == EX_OK)
        st = remote_send(r, &(remote_call){.path = "/v1/status"}, &answer, err);
    if (st == EX_OK)
        ex_buf_put(out, answer);
    remote_close(r);
    return st;
}

/* ---- For people ---- */

static ex_slice text_of(const ex_json *object, const char *name)
{
    const ex_json *v = object ? ex_json_get(object, ex_str(name)) : NULL;
    return v && v->kind == EX_JSON_STRING ? v->as.text : EX_S("");
}

static uint64_t number_of(const ex_json *object, const char *name)
{
    const ex_json *v = object ? ex_json_get(object, ex_str(name)) : NULL;
    return v && v->kind == EX_JSON_INT && v->as.i64 >= 0 ? (uint64_t)v->as.i64 : 0;
}

static void put_clean(ex_buf *out, ex_slice text)
{
    (void)output_put_clean(out, text, -1); /* the width matters to tables only */
}

static void put_size(ex_buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1; unit++)
        size /= 1024;
    ex_buf_printf(out, "%.*f %s", unit && size < 100 ? 1 : 0, size, units[unit]);
}

static void put_server(ex_buf *out, const ex_json *server, const char *url)
{
    if (!server)
        return;
    uint64_t s = number_of(server, "uptime_seconds");
    ex_buf_printf(out, "server  %s, version ", url);
    put_clean(out, text_of(server, "version"));
    ex_buf_put_str(out, " (");
    put_clean(out, text_of(server, "commit"));
    ex_buf_printf(out, "), up %" PRIu64 "d %02" PRIu64 "h %02" PRIu64 "m %02" PRIu64 "s\n",
                  s / 86400, s / 3600 % 24, s / 60 % 60, s % 60);
}

static void put_features(ex_buf *out, const ex_json *store)
{
    const ex_json *list = ex_json_get(store, EX_S("features"));
    if (!list || list->kind != EX_JSON_ARRAY || list->count == 0)
        return;
    for (uint32_t i = 0; i < list->count; i++) {
        ex_buf_put_str(out, i ? ", " : ", features ");
        if (list->as.items[i].kind == EX_JSON_STRING)
            put_clean(out, list->as.items[i].as.text);
    }
}

static void put_epoch(ex_buf *out, const ex_json *store, const ex_json *epoch)
{
    if (!epoch)
        return; /* a format that has none */
    ex_buf_put_str(out, "        log id ");
    put_clean(out, text_of(store, "log_id"));
    put_features(out, store);
    ex_buf_printf(out, "\nepoch   %" PRIu64 " from position %" PRIu64 " on (",
                  number_of(epoch, "number"), number_of(epoch, "first"));
    put_clean(out, text_of(epoch, "reason"));
    ex_buf_put_str(out, " at ");
    put_clean(out, text_of(epoch, "opened_at"));
    ex_buf_put_str(out, "), id ");
    put_clean(out, text_of(epoch, "id"));
    ex_buf_put_char(out, '\n');
}

static void put_store(ex_buf *out, const ex_json *store)
{
    ex_slice durability = text_of(store, "durability");
    ex_buf_put_str(out, "store   ");
    put_clean(out, text_of(store, "engine"));
    ex_buf_printf(out, ", format %" PRIu64, number_of(store, "format"));
    if (durability.len) {
        ex_buf_put_str(out, ", durability ");
        put_clean(out, durability);
    }
    ex_buf_printf(out, "\nlog     ends at position %" PRIu64 ", ", number_of(store, "head"));
    put_size(out, number_of(store, "size_bytes"));
    ex_buf_put_char(out, '\n');
    if (number_of(store, "clock_ahead_seconds"))
        ex_buf_printf(out, "        its last time is %" PRIu64 " s ahead of the clock\n",
                      number_of(store, "clock_ahead_seconds"));
    put_epoch(out, store, ex_json_get(store, EX_S("epoch")));
}

static void put_view_line(ex_buf *out, const ex_json *view)
{
    ex_slice context = text_of(view, "context"), state = text_of(view, "state"),
             error = text_of(view, "error");
    ex_buf_put_str(out, "view    ");
    put_clean(out, context);
    ex_buf_put_str(out, context.len ? "." : "");
    put_clean(out, text_of(view, "name"));
    ex_buf_put_str(out, state.len ? " " : "");
    put_clean(out, state);
    ex_buf_printf(out, " at position %" PRIu64 ", %" PRIu64 " behind", number_of(view, "position"),
                  number_of(view, "lag"));
    if (number_of(view, "parked"))
        ex_buf_printf(out, ", %" PRIu64 " events parked", number_of(view, "parked"));
    if (ex_json_get(view, EX_S("is_other_build")))
        ex_buf_put_str(out, ", built by another build of the application");
    ex_buf_put_str(out, error.len ? ": " : "");
    put_clean(out, error);
    ex_buf_put_char(out, '\n');
}

static void put_node_line(ex_buf *out, const ex_json *node)
{
    ex_slice address = text_of(node, "address");
    ex_buf_put_str(out, "node    ");
    put_clean(out, text_of(node, "id"));
    ex_buf_put_char(out, ' ');
    put_clean(out, text_of(node, "state"));
    ex_buf_put_str(out, ", ");
    put_clean(out, address.len ? address : text_of(node, "host"));
    ex_buf_printf(out, ", pid %" PRIu64 ", holding %" PRIu64 ", seen %" PRIu64 " s ago\n",
                  number_of(node, "pid"), number_of(node, "leases"),
                  number_of(node, "seen_seconds_ago"));
}

static void put_lease_line(ex_buf *out, const ex_json *lease)
{
    ex_slice node = text_of(lease, "node");
    ex_buf_put_str(out, "lease   ");
    put_clean(out, text_of(lease, "name"));
    ex_buf_put_str(out, node.len ? " held by " : " free");
    put_clean(out, node);
    if (node.len)
        ex_buf_printf(out, " for another %" PRIu64 " s", number_of(lease, "left_seconds"));
    ex_buf_printf(out, ", token %" PRIu64 "\n", number_of(lease, "token"));
}

static void put_each(ex_buf *out, const ex_json *document, ex_slice name,
                     void (*put)(ex_buf *out, const ex_json *item))
{
    const ex_json *list = ex_json_get(document, name);
    for (uint32_t i = 0; list && list->kind == EX_JSON_ARRAY && i < list->count; i++)
        put(out, &list->as.items[i]);
}

static void put_writer_line(ex_buf *out, const ex_json *in_use)
{
    if (in_use && in_use->kind == EX_JSON_BOOL && in_use->as.boolean)
        ex_buf_put_str(
            out, "        a process writes it now; a server tells with --url what only it knows\n");
}

static ex_status put_lines(ex_buf *out, ex_slice document, const char *url, ex_error *err)
{
    ex_arena arena;
    ex_json json = {0};
    ex_arena_init(&arena, 0);
    ex_status st = ex_json_parse(document, &arena, NULL, &json, err);
    if (st) {
        st = ex_error_context(err, st, "the server's answer");
    } else {
        put_server(out, ex_json_get(&json, EX_S("server")), url);
        put_store(out, ex_json_get(&json, EX_S("store")));
        put_writer_line(out, ex_json_get(&json, EX_S("in_use")));
        put_each(out, &json, EX_S("views"), put_view_line);
        put_each(out, &json, EX_S("nodes"), put_node_line);
        put_each(out, &json, EX_S("leases"), put_lease_line);
    }
    ex_arena_done(&arena);
    return st;
}

/* ---- The verb ---- */

static ex_status run(const args *a, ex_buf *document, ex_buf *lines, ex_error *err)
{
    const char *url = target_url(a);
    bool is_given = false;
    const char *data = target_data(a, &is_given);
    ex_status st = url ? fetch(url, document, err) : describe(data, document, err);
    if (st == EX_OK && args_has(a, "json"))
        ex_buf_put_char(document, '\n');
    else if (st == EX_OK)
        st = put_lines(lines, ex_buf_slice(document), url, err);
    if (st == EX_OK && (ex_buf_status(document) || ex_buf_status(lines)))
        st = ex_raise(err, EX_ENOMEM, "out of memory");
    return st;
}

static int run_status(const cli *c, const args *a)
{
    ex_error err = {0};
    ex_buf document, lines;
    if (target_check(a, &err))
        return cli_misuse(c, a->verb, "%s", err.message);
    ex_buf_init(&document, 0);
    ex_buf_init(&lines, 0);
    int code = run(a, &document, &lines, &err) ? cli_fail(c, a, &err) : CLI_OK;
    const ex_buf *out = args_has(a, "json") ? &document : &lines;
    if (code == CLI_OK)
        fwrite(out->ptr, 1, out->len, stdout);
    ex_buf_done(&document);
    ex_buf_done(&lines);
    return code;
}

static const arg_option options[] = {
    TARGET_OPTIONS,
    {0, "json", ARG_FLAG, NULL, "print JSON", NULL},
    {0},
};

const cli_verb cli_verb_status = {
    .name = "status",
    .summary = "show a store, its size and how far its views are",
    .options = options,
    .details = "On a directory it works while a server writes there. The state of views and the\n"
               "durability in force are known to the server only.",
    .examples = "status -d ./data\n"
                "status --json -u http://127.0.0.1:8080",
    .run = run_status,
};
