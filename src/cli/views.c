/* views.c: the verb `views`: how far views are, and what is to be done with the events that they
 * left out.
 *
 * Each action is a document, made here from the database of the views or fetched from a server, and
 * printed as it is or as lines for people. On a directory or database a retry is only asked for: the
 * server that applies the view's events does it (runtime/view_settle.h). */
#include "api/status_json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/remote.h"
#include "cli/target.h"
#include "runtime/view_settle.h"
#include "runtime/views.h"

#include <excore/json.h>

#include <inttypes.h>
#include <pwd.h>
#include <time.h>
#include <unistd.h>

#define PARKED_DEFAULT 100u
#define PARKED_MAX     1000u
#define RETRY_WAIT_MS  3000
#define LOOK_EVERY_MS  50
#define BY_BYTES       (VIEW_SETTLE_BY_MAX + 1)

typedef enum action { LIST, SHOW, PARKED, RETRY, SKIP, ACTIONS } action;

static const struct {
    const char *name;
    bool needs_view, may_have_position, needs_position;
} actions[ACTIONS] = {
    [LIST] = {"list", false, false, false},    [SHOW] = {"show", true, false, false},
    [PARKED] = {"parked", true, false, false}, [RETRY] = {"retry", true, true, false},
    [SKIP] = {"skip", true, true, true},
};

typedef struct request {
    action action;
    const char *view;
    uint64_t position; /* 0: all */
    uint64_t after, limit;
    const char *reason;
    char by[BY_BYTES];
} request;

/* ---- What is asked ---- */

/* "anna@host", for those who want to know who it was. */
static void name_user(char by[BY_BYTES])
{
    char host[64] = "";
    const struct passwd *user = getpwuid(getuid());
    (void)gethostname(host, sizeof(host) - 1); /* an empty one is fine */
    (void)snprintf(by, BY_BYTES, "%s@%s", user ? user->pw_name : "", host);
}

static ex_status read_action(const char *name, action *ret, ex_error *err)
{
    for (int i = 0; i < ACTIONS; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            *ret = (action)i;
            return EX_OK;
        }
    }
    return ex_raise(err, EX_EINVAL, "'%s' is none of list, show, parked, retry and skip", name);
}

static ex_status read_request(const args *a, request *r, ex_error *err)
{
    const char *position = args_operand(a, 2), *by = args_text(a, "by", NULL);
    ex_status st = read_action(args_operand(a, 0), &r->action, err);
    if (st)
        return st;
    r->view = args_operand(a, 1);
    r->after = args_number(a, "after", 0);
    r->limit = args_number(a, "limit", PARKED_DEFAULT);
    r->limit = r->limit < 1 ? 1 : r->limit > PARKED_MAX ? PARKED_MAX : r->limit;
    r->reason = args_text(a, "reason", NULL);
    const char *name = actions[r->action].name;
    if (actions[r->action].needs_view != (r->view != NULL))
        return ex_raise(err, EX_EINVAL, r->view ? "'%s' takes no VIEW" : "'%s' needs a VIEW", name);
    if (actions[r->action].needs_position && !position)
        return ex_raise(err, EX_EINVAL, "'%s' needs the POSITION of a parked event", name);
    if (position && !actions[r->action].may_have_position)
        return ex_raise(err, EX_EINVAL, "'%s' takes no POSITION", name);
    if (position && (!args_parse_number(position, &r->position) || r->position == 0))
        return ex_raise(err, EX_EINVAL, "'%s' is no position", position);
    if ((r->action == SKIP) != (r->reason != NULL))
        return ex_raise(err, EX_EINVAL,
                        r->reason ? "--reason is for 'skip'" : "'skip' needs a --reason");
    if (by)
        (void)snprintf(r->by, sizeof(r->by), "%s", by); /* cut is fine: for people */
    else
        name_user(r->by);
    return EX_OK;
}

/* ---- A server ---- */

static void put_path(const request *r, ex_buf *path)
{
    ex_buf_put_str(path, "/v1/views");
    if (r->view) {
        ex_buf_put_char(path, '/');
        remote_put_encoded(path, ex_str(r->view));
    }
    if (r->action == PARKED)
        ex_buf_printf(path, "/parked?after=%" PRIu64 "&limit=%" PRIu64, r->after, r->limit);
    else if (r->position)
        ex_buf_printf(path, "/parked/%" PRIu64 "/%s", r->position, actions[r->action].name);
    else if (r->action == RETRY)
        ex_buf_put_str(path, "/parked/retry");
    ex_buf_put_char(path, '\0');
}

static void put_body(const request *r, ex_buf *body)
{
    ex_json_writer w;
    ex_json_writer_init(&w, body);
    ex_json_begin_object(&w);
    ex_json_string_member(&w, EX_S("by"), ex_str(r->by));
    if (r->reason)
        ex_json_string_member(&w, EX_S("reason"), ex_str(r->reason));
    ex_json_end_object(&w);
}

static ex_status fetch(const request *r, const char *url, ex_buf *out, ex_error *err)
{
    remote *server = NULL;
    ex_slice answer = {0};
    ex_buf path, body;
    ex_buf_init(&path, 0);
    ex_buf_init(&body, 0);
    put_path(r, &path);
    put_body(r, &body);
    bool is_change = r->action == RETRY || r->action == SKIP;
    ex_status st = ex_buf_status(&path) || ex_buf_status(&body)
                       ? ex_raise(err, EX_ENOMEM, "out of memory")
                       : remote_open(url, &server, err);
    const remote_call call = {.path = path.ptr,
                              .body = is_change ? ex_buf_slice(&body) : (ex_slice){NULL, 0}};
    st = st ? st : remote_send(server, &call, &answer, err);
    if (!st)
        ex_buf_put(out, answer);
    remote_close(server);
    ex_buf_done(&path);
    ex_buf_done(&body);
    return st;
}

/* ---- A directory or a database ---- */

typedef struct listing {
    ex_json_writer *w;
    const request *r;
    uint64_t head, count, last;
    bool is_found;
} listing;

static void put_view(void *ctx, const view_list_entry *view)
{
    listing *l = ctx;
    if (l->r->view && !ex_slice_is(view->name, l->r->view))
        return;
    l->is_found = true;
    if (l->w)
        status_json_view(l->w, view, l->head);
}

static void put_parked(void *ctx, const ex_parked_event *e)
{
    listing *l = ctx;
    if (l->count++ >= l->r->limit)
        return;
    status_json_parked(l->w, e);
    l->last = e->position;
}

static ex_status read_head(const char *data, uint64_t *ret, ex_error *err)
{
    const ex_store_options options = {.read_only = true, .must_exist = true};
    ex_store *store = NULL;
    ex_status st = ex_store_open(data, &options, &store, err);
    if (!st)
        *ret = ex_store_head(store);
    ex_store_close(store);
    return st;
}

static ex_status no_view(const request *r, ex_error *err)
{
    return ex_raise(err, EX_ENOTFOUND, "there is no view '%s'", r->view);
}

static ex_status describe(const request *r, const char *data, ex_buf *out, ex_error *err)
{
    ex_json_writer w;
    listing l = {.w = &w, .r = r};
    ex_status st = read_head(data, &l.head, err);
    if (st)
        return st;
    bool is_one = r->action == SHOW;
    ex_json_writer_init(&w, out);
    if (!is_one) {
        ex_json_begin_object(&w);
        ex_json_key(&w, EX_S("views"));
        ex_json_begin_array(&w);
    }
    st = view_list_read(data, put_view, &l, err);
    if (!is_one) {
        ex_json_end_array(&w);
        ex_json_end_object(&w);
    }
    return !st && is_one && !l.is_found ? no_view(r, err) : st;
}

static ex_status list_parked(const request *r, ex_sql *db, ex_buf *out, ex_error *err)
{
    ex_json_writer w;
    listing l = {.w = &w, .r = r, .last = r->after};
    status_json_begin(&w, out);
    ex_json_key(&w, EX_S("parked"));
    ex_json_begin_array(&w);
    ex_status st =
        view_settle_list(db, r->view, r->after, (uint32_t)r->limit + 1, put_parked, &l, err);
    ex_json_end_array(&w);
    ex_json_u64_member(&w, EX_S("next"), l.last);
    ex_json_bool_member(&w, EX_S("has_more"), l.count > r->limit);
    status_json_end(&w);
    return st;
}

/* A server that runs there does it within a second. */
static ex_status retry(const request *r, ex_sql *db, ex_buf *out, ex_error *err)
{
    static const struct timespec pause = {0, LOOK_EVERY_MS * 1000000L};
    uint64_t asked = 0;
    int64_t stamp = 0;
    ex_view_retried done = {0};
    ex_status st = view_settle_retry(db, ex_clock_system(), r->view, r->position, ex_str(r->by),
                                     &asked, &stamp, err);
    st = st ? st : view_settle_look(db, r->view, stamp, asked, &done, err);
    for (int waited = 0; !st && done.waiting && waited < RETRY_WAIT_MS; waited += LOOK_EVERY_MS) {
        (void)nanosleep(&pause, NULL); /* woken early is fine */
        st = view_settle_look(db, r->view, stamp, asked, &done, err);
    }
    if (!st)
        status_json_retried(out, &done);
    return st;
}

static ex_status settle(const request *r, ex_sql *db, ex_buf *out, ex_error *err)
{
    ex_status st = view_store_migrate(db, ex_clock_system(), err);
    if (st || r->action == RETRY)
        return st ? st : retry(r, db, out, err);
    st = view_settle_skip(db, ex_clock_system(), r->view, r->position, ex_str(r->by),
                          ex_str(r->reason), err);
    if (!st)
        ex_buf_put_str(out, "{\"skipped\":1}");
    return st;
}

static ex_status work_on(const request *r, const char *data, ex_buf *out, ex_error *err)
{
    char path[PATH_MAX];
    ex_sql *db = NULL;
    listing l = {.r = r};
    ex_sql_options options = {.is_read_only = r->action == PARKED};
    ex_status st = read_head(data, &l.head, err); /* is it a store? */
    st = st ? st : view_list_read(data, put_view, &l, err);
    if (!st && !l.is_found)
        st = no_view(r, err);
    st = st ? st : view_store_place(data, path, &options, err);
    st = st ? st : ex_sql_open(&options, &db, err);
    if (!st)
        st = r->action == PARKED ? list_parked(r, db, out, err) : settle(r, db, out, err);
    ex_sql_close(db);
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

static void put_clean(ex_buf *out, const char *before, ex_slice text)
{
    ex_buf_put_str(out, text.len ? before : "");
    (void)output_put_clean(out, text, -1); /* the width matters to tables only */
}

static void put_view_line(ex_buf *out, const ex_json *view)
{
    put_clean(out, "", text_of(view, "name"));
    put_clean(out, " ", text_of(view, "state"));
    ex_buf_printf(out, " at position %" PRIu64 ", %" PRIu64 " behind, %" PRIu64 " parked",
                  number_of(view, "position"), number_of(view, "lag"), number_of(view, "parked"));
    if (ex_json_get(view, EX_S("is_other_build")))
        ex_buf_put_str(out, ", built by another build of the application");
    put_clean(out, ": ", text_of(view, "error"));
    ex_buf_put_char(out, '\n');
}

static void put_parked_line(ex_buf *out, const ex_json *e)
{
    ex_buf_printf(out, "%" PRIu64 " ", number_of(e, "position"));
    put_clean(out, "", text_of(e, "stream"));
    put_clean(out, " ", text_of(e, "type"));
    put_clean(out, " ", text_of(e, "state"));
    ex_buf_printf(out, ", %" PRIu64 " attempts", number_of(e, "attempts"));
    put_clean(out, ": ", text_of(e, "reason"));
    put_clean(out, " (by ", text_of(e, "settled_by"));
    put_clean(out, ": ", text_of(e, "note"));
    ex_buf_put_str(out, text_of(e, "settled_by").len ? ")\n" : "\n");
}

static void put_each(ex_buf *out, const ex_json *document, ex_slice name,
                     void (*put)(ex_buf *out, const ex_json *item))
{
    const ex_json *list = ex_json_get(document, name);
    for (uint32_t i = 0; list && list->kind == EX_JSON_ARRAY && i < list->count; i++)
        put(out, &list->as.items[i]);
}

static void put_retried(ex_buf *out, const ex_json *d)
{
    ex_buf_printf(out, "%" PRIu64 " applied, %" PRIu64 " parked again, %" PRIu64 " waiting",
                  number_of(d, "applied"), number_of(d, "parked_again"), number_of(d, "waiting"));
    ex_buf_put_str(out, number_of(d, "waiting")
                            ? ": the server that applies the view's events will do it\n"
                            : "\n");
}

static void put_lines(const request *r, ex_buf *out, const ex_json *d)
{
    switch (r->action) {
    case LIST:
        put_each(out, d, EX_S("views"), put_view_line);
        break;
    case SHOW:
        put_view_line(out, d);
        break;
    case PARKED:
        put_each(out, d, EX_S("parked"), put_parked_line);
        if (ex_json_get(d, EX_S("has_more")) && ex_json_get(d, EX_S("has_more"))->as.boolean)
            ex_buf_printf(out, "more: --after %" PRIu64 "\n", number_of(d, "next"));
        break;
    case RETRY:
        put_retried(out, d);
        break;
    default:
        ex_buf_printf(out, "skipped\n");
        break;
    }
}

static ex_status print_lines(const request *r, ex_slice document, ex_error *err)
{
    ex_arena arena;
    ex_json json = {0};
    ex_buf lines;
    ex_arena_init(&arena, 0);
    ex_buf_init(&lines, 0);
    ex_status st = ex_json_parse(document, &arena, NULL, &json, err);
    if (!st)
        put_lines(r, &lines, &json);
    if (!st && ex_buf_status(&lines))
        st = ex_raise(err, EX_ENOMEM, "out of memory");
    if (!st && lines.len)
        fwrite(lines.ptr, 1, lines.len, stdout);
    ex_buf_done(&lines);
    ex_arena_done(&arena);
    return st;
}

/* ---- The verb ---- */

static ex_status run(const args *a, const request *r, ex_buf *document, ex_error *err)
{
    const char *url = target_url(a);
    bool is_given = false;
    const char *data = target_data(a, &is_given);
    ex_status st = EX_OK;
    if (url)
        st = fetch(r, url, document, err);
    else if (r->action == LIST || r->action == SHOW)
        st = describe(r, data, document, err);
    else
        st = work_on(r, data, document, err);
    if (!st && ex_buf_status(document))
        st = ex_raise(err, EX_ENOMEM, "out of memory");
    if (st)
        return st;
    if (!args_has(a, "json"))
        return print_lines(r, ex_buf_slice(document), err);
    fwrite(document->ptr, 1, document->len, stdout);
    putchar('\n');
    return EX_OK;
}

static int run_views(const cli *c, const args *a)
{
    ex_error err = {0};
    request r = {0};
    ex_buf document;
    if (target_check(a, &err) || read_request(a, &r, &err))
        return cli_misuse(c, a->verb, "%s", err.message);
    ex_buf_init(&document, 0);
    int code = run(a, &r, &document, &err) ? cli_fail(c, a, &err) : CLI_OK;
    ex_buf_done(&document);
    return code;
}

static const arg_option options[] = {
    TARGET_OPTIONS,
    {0, "reason", ARG_TEXT, "TEXT", "skip: why the event stays out of the view", NULL},
    {0, "by", ARG_TEXT, "NAME", "who asks for it [user@host]", NULL},
    {0, "after", ARG_NUMBER, "N", "parked: begin after this position", NULL},
    {'n', "limit", ARG_NUMBER, "N", "parked: print at most so many events [100]", NULL},
    {0, "json", ARG_FLAG, NULL, "print JSON", NULL},
    {0},
};

const cli_verb cli_verb_views = {
    .name = "views",
    .summary = "show views and the events they left out, retry or skip those",
    .operands = "ACTION [VIEW] [POSITION]",
    .operand_choices = "list show parked retry skip",
    .options = options,
    .details =
        "list and 'show VIEW' tell how far views are. 'parked VIEW' lists the events that a\n"
        "view could not apply and left out, with the reason. 'retry VIEW' has all of them\n"
        "applied, 'retry VIEW POSITION' one: now, after all that came later; where the order\n"
        "matters raise the view's version instead, which builds it anew. 'skip VIEW POSITION'\n"
        "says that an event stays out. On a directory or database a retry is done by the\n"
        "server that runs there, or by the next one that starts.",
    .examples = "views parked order_summary -d ./data\n"
                "views retry order_summary -u http://127.0.0.1:8080\n"
                "views skip order_summary 4711 --reason 'a test order of 2019'",
    .run = run_views,
};
