/* registry.c: an application's names, checked at start and looked up per call.
 *
 * The lists are short, so a look-up walks them. */
#include "runtime/registry.h"

#include "kernel/suggest.h"
#include "runtime/query_dialect.h"
#include "runtime/row.h"
#include "runtime/type_field.h"
#include "sql/sql_text.h"

#define NAME_MAX_LEN  63
#define TABLE_MAX_LEN 58 /* PostgreSQL cuts names behind 63 bytes; an index adds its number */

/* ---- Check ---- */

static bool is_name(const char *name, bool allows_dash)
{
    if (!name || !(name[0] >= 'a' && name[0] <= 'z'))
        return false;
    for (const char *p = name; *p; p++) {
        bool ok = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_' ||
                  (allows_dash && *p == '-');
        if (!ok)
            return false;
    }
    return strlen(name) <= NAME_MAX_LEN;
}

static ex_status bad_name(ex_error *err, const char *what, const char *name)
{
    return ex_raise(err, EX_EINVAL,
                    "bad %s name '%s': lower-case letters, digits and '_', at most %d", what,
                    name ? name : "", NAME_MAX_LEN);
}

static ex_status twice(ex_error *err, const char *what, const char *name, const char *where)
{
    return ex_raise(err, EX_EEXISTS, "%s '%s' is registered twice in %s", what, name, where);
}

/* A type is handled or ignored, and ignored once: a slip of the pen shows at start. */
static ex_status check_ignored(const ex_aggregate *a, ex_error *err)
{
    for (uint32_t i = 0; i < a->ignored_count; i++) {
        const char *name = a->ignored[i];
        if (!name || !name[0] || strlen(name) > EX_TYPE_NAME_MAX)
            return ex_raise(err, EX_EINVAL, "aggregate %s ignores a type without a good name",
                            a->name);
        if (registry_find_event(a, ex_str(name)))
            return ex_raise(err, EX_EINVAL, "aggregate %s both handles and ignores %s", a->name,
                            name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(name, a->ignored[k]) == 0)
                return twice(err, "ignored event", name, a->name);
    }
    return EX_OK;
}

static ex_status check_event_type(const ex_type *type, const char *reader, ex_error *err)
{
    ex_status st = ex_type_check(type, err);
    if (!st && type->schema_version == 0)
        st = ex_raise(err, EX_EINVAL, "event %s of %s has schema version 0; versions start at 1",
                      type->name, reader);
    return st;
}

ex_status registry_check_aggregate(const ex_aggregate *a, ex_error *err)
{
    if (!a || !is_name(a->name, false))
        return bad_name(err, "aggregate", a ? a->name : NULL);
    ex_status st = a->state ? ex_type_check(a->state, err)
                            : ex_raise(err, EX_EINVAL, "aggregate %s has no state type", a->name);
    for (uint32_t i = 0; !st && i < a->command_count; i++) {
        const ex_command_def *c = &a->commands[i];
        if (!is_name(c->name, true))
            return bad_name(err, "command", c->name);
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(c->name, a->commands[k].name) == 0)
                return twice(err, "command", c->name, a->name);
        st = c->decide ? ex_type_check(c->type, err)
                       : ex_raise(err, EX_EINVAL, "command %s has no decide function", c->name);
    }
    for (uint32_t i = 0; !st && i < a->event_count; i++) {
        const ex_event_def *e = &a->events[i];
        st = e->evolve ? check_event_type(e->type, a->name, err)
                       : ex_raise(err, EX_EINVAL, "an event of %s has no evolve function", a->name);
        for (uint32_t k = 0; !st && k < i; k++)
            if (strcmp(e->type->name, a->events[k].type->name) == 0)
                st = twice(err, "event", e->type->name, a->name);
    }
    return st ? st : check_ignored(a, err);
}

static bool has_key(const ex_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (type->fields[i].is_key)
            return true;
    return false;
}

/* Columns that every table has on PostgreSQL. */
static ex_status check_columns(const ex_view_def *v, const ex_type *row, ex_error *err)
{
    static const char *const taken[] = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};
    for (uint32_t i = 0; i < row->field_count; i++)
        for (size_t k = 0; k < sizeof(taken) / sizeof(taken[0]); k++)
            if (strcmp(row->fields[i].name, taken[k]) == 0)
                return ex_raise(err, EX_EINVAL,
                                "view %s: column %s of %s has a name that PostgreSQL keeps to "
                                "itself",
                                v->name, taken[k], row->name);
    return row->field_count <= SQL_PARAMS_MAX
               ? EX_OK
               : ex_raise(err, EX_EINVAL, "view %s: table %s has more than %u columns", v->name,
                          row->name, SQL_PARAMS_MAX);
}

static ex_status check_row(const ex_view_def *v, const ex_type *row, ex_error *err)
{
    char name[ROW_NAME_SIZE];
    ex_status st = ex_type_check(row, err);
    if (st)
        return st;
    if (!has_key(row))
        return ex_raise(err, EX_EINVAL, "view %s: table %s has no EX_KEY field", v->name,
                        row->name);
    if (row_table_name(row, name).len > TABLE_MAX_LEN)
        return ex_raise(err, EX_EINVAL, "view %s: table %s has more than %d bytes", v->name, name,
                        TABLE_MAX_LEN);
    if (!is_name(name, false) || strncmp(name, "excore_", 7) == 0 ||
        strncmp(name, "sqlite_", 7) == 0)
        return ex_raise(err, EX_EINVAL,
                        "view %s: %s makes table '%s': lower-case letters, digits and '_', and "
                        "neither excore_ nor sqlite_ before them",
                        v->name, row->name, name);
    return check_columns(v, row, err);
}

static ex_status check_index(const ex_view_def *v, const ex_type *row, const char *index,
                             ex_error *err)
{
    row_index_column c = {0};
    for (const char *at = index ? index : ""; row_index_next(&at, &c);) {
        bool is_column = false;
        for (uint32_t i = 0; i < row->field_count && !is_column; i++)
            is_column = ex_slice_is(c.name, row->fields[i].name);
        if (!is_column)
            return ex_raise(err, EX_EINVAL, "view %s: '%.*s' of index '%s' is no column of %s",
                            v->name, EX_ARG(c.name), index, row->name);
    }
    return c.name.len ? EX_OK : ex_raise(err, EX_EINVAL, "view %s: an index is empty", v->name);
}

static ex_status check_tables(const ex_view_def *v, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < v->table_count; i++) {
        const ex_table_def *t = &v->tables[i];
        char name[ROW_NAME_SIZE], other[ROW_NAME_SIZE];
        st = check_row(v, t->row, err);
        for (uint32_t k = 0; !st && k < i; k++)
            if (ex_slice_eq(row_table_name(t->row, name), row_table_name(v->tables[k].row, other)))
                st = twice(err, "table", name, v->name);
        for (uint32_t k = 0; !st && k < t->index_count; k++)
            st = check_index(v, t->row, t->indexes[k], err);
    }
    return st;
}

static ex_status check_view(const ex_view_def *v, ex_error *err)
{
    if (!v || !is_name(v->name, false))
        return bad_name(err, "view", v ? v->name : NULL);
    if (v->version == 0)
        return ex_raise(err, EX_EINVAL, "view %s has version 0; versions start at 1", v->name);
    if (v->table_count == 0)
        return ex_raise(err, EX_EINVAL, "view %s has no table", v->name);
    ex_status st = check_tables(v, err);
    for (uint32_t i = 0; !st && i < v->event_count; i++) {
        st = check_event_type(v->events[i].type, v->name, err);
        for (uint32_t k = 0; !st && k < i; k++)
            if (strcmp(v->events[i].type->name, v->events[k].type->name) == 0)
                st = twice(err, "event", v->events[i].type->name, v->name);
    }
    return st;
}

/* A page goes on behind the keys of its last row, and nothing is behind a null. */
static ex_status check_order(const ex_query_def *q, ex_error *err)
{
    for (size_t i = 0; i < sizeof(q->order_by) / sizeof(*q->order_by) && q->order_by[i]; i++) {
        const ex_field *f = NULL;
        for (uint32_t k = 0; !f && k < q->row->field_count; k++)
            f = strcmp(q->row->fields[k].name, q->order_by[i]) == 0 ? &q->row->fields[k] : NULL;
        if (!f || type_is_optional(f))
            return ex_raise(err, EX_EINVAL, "query %s orders by %s, which %s", q->name,
                            q->order_by[i], f ? "may be null" : "is no column of its row type");
    }
    return EX_OK;
}

/* What the platform reads of a query's parameters never reaches the query. */
static ex_status check_params(const ex_query_def *q, ex_error *err)
{
    static const char *const reserved[] = {"limit", "cursor", "min_position", "consistency"};
    ex_status st = q->params ? ex_type_check(q->params, err) : EX_OK;
    for (uint32_t i = 0; !st && q->params && i < q->params->field_count; i++)
        for (size_t k = 0; k < sizeof(reserved) / sizeof(reserved[0]); k++)
            if (strcmp(q->params->fields[i].name, reserved[k]) == 0)
                return ex_raise(err, EX_EINVAL, "query %s: the parameter %s is the platform's",
                                q->name, reserved[k]);
    return st;
}

static ex_status check_query(const ex_query_def *q, ex_error *err)
{
    if (!q || !is_name(q->name, true))
        return bad_name(err, "query", q ? q->name : NULL);
    if (!q->view || !(q->sql || q->on_sqlite || q->on_postgres))
        return ex_raise(err, EX_EINVAL, "query %s needs a view and SQL", q->name);
    if (q->kind != EX_QUERY_COUNT && !q->row)
        return ex_raise(err, EX_EINVAL, "query %s needs a row type", q->name);
    if ((q->kind == EX_QUERY_PAGE || q->kind == EX_QUERY_LIST) && !q->order_by[0])
        return ex_raise(err, EX_EINVAL, "query %s needs order_by", q->name);
    ex_status st = check_params(q, err);
    if (!st && q->row)
        st = ex_type_check(q->row, err);
    if (!st && q->row)
        st = check_order(q, err);
    return !st && q->sql ? query_dialect_check(q, err) : st;
}

static ex_status check_context(const ex_context *c, ex_error *err)
{
    static const char *const reserved[] = {"append", "events", "status", "streams", "views"};
    if (!c || !is_name(c->name, false))
        return bad_name(err, "context", c ? c->name : NULL);
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strcmp(c->name, reserved[i]) == 0)
            return ex_raise(err, EX_EINVAL,
                            "a context cannot be named '%s': /v1/%s is the "
                            "platform's",
                            c->name, c->name);
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < c->aggregate_count; i++) {
        st = registry_check_aggregate(c->aggregates[i], err);
        for (uint32_t k = 0; !st && k < i; k++)
            if (strcmp(c->aggregates[i]->name, c->aggregates[k]->name) == 0)
                st = twice(err, "aggregate", c->aggregates[i]->name, c->name);
    }
    for (uint32_t i = 0; !st && i < c->view_count; i++)
        st = check_view(c->views[i], err);
    for (uint32_t i = 0; !st && i < c->query_count; i++) {
        st = check_query(c->queries[i], err);
        st = st ? ex_error_context(err, st, "context %s", c->name) : EX_OK;
        for (uint32_t k = 0; !st && k < i; k++)
            if (strcmp(c->queries[i]->name, c->queries[k]->name) == 0)
                st = twice(err, "query", c->queries[i]->name, c->name);
    }
    return st;
}

/* Stream categories and view names are global: two contexts must not share one (R-01-24). */
static ex_status check_across(const ex_context *a, const ex_context *b, ex_error *err)
{
    if (strcmp(a->name, b->name) == 0)
        return twice(err, "context", a->name, "the application");
    for (uint32_t i = 0; i < a->aggregate_count; i++)
        for (uint32_t k = 0; k < b->aggregate_count; k++)
            if (strcmp(a->aggregates[i]->name, b->aggregates[k]->name) == 0)
                return ex_raise(err, EX_EEXISTS, "aggregate '%s' is registered by %s and by %s",
                                a->aggregates[i]->name, a->name, b->name);
    return EX_OK;
}

/* Each rebuilds its tables, and would take the rows of the other. */
static ex_status check_tables_apart(const ex_view_def *a, const ex_view_def *b, ex_error *err)
{
    char name[ROW_NAME_SIZE], other[ROW_NAME_SIZE];
    for (uint32_t i = 0; i < a->table_count; i++)
        for (uint32_t k = 0; k < b->table_count; k++)
            if (ex_slice_eq(row_table_name(a->tables[i].row, name),
                            row_table_name(b->tables[k].row, other)))
                return ex_raise(err, EX_EEXISTS, "table '%s' is of view %s and of view %s", name,
                                a->name, b->name);
    return EX_OK;
}

static ex_status check_views_apart(const ex_context *c, const ex_view_def *v, const ex_context *d,
                                   const ex_view_def *w, ex_error *err)
{
    if (strcmp(v->name, w->name) == 0)
        return ex_raise(err, EX_EEXISTS, "view '%s' is registered by %s and by %s", v->name,
                        d->name, c->name);
    return check_tables_apart(w, v, err);
}

static ex_status check_all_views(const ex_app *app, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t c = 0; c < app->context_count; c++)
        for (uint32_t v = 0; v < app->contexts[c]->view_count; v++)
            for (uint32_t d = 0; d <= c; d++)
                for (uint32_t w = 0; !st && w < (d == c ? v : app->contexts[d]->view_count); w++)
                    st = check_views_apart(app->contexts[c], app->contexts[c]->views[v],
                                           app->contexts[d], app->contexts[d]->views[w], err);
    return st;
}

/* What an aggregate emits in one version a view could not read in another. */
static ex_status check_versions(const ex_aggregate *a, const ex_context *c, ex_error *err)
{
    for (uint32_t v = 0; v < c->view_count; v++) {
        for (uint32_t i = 0; i < c->views[v]->event_count; i++) {
            const ex_type *type = c->views[v]->events[i].type;
            const ex_event_def *e = registry_find_event(a, ex_str(type->name));
            if (e && e->type->schema_version != type->schema_version)
                return ex_raise(err, EX_EINVAL,
                                "event %s has schema version %u in aggregate %s and %u in view %s",
                                type->name, e->type->schema_version, a->name, type->schema_version,
                                c->views[v]->name);
        }
    }
    return EX_OK;
}

static ex_status check_all_versions(const ex_app *app, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t c = 0; c < app->context_count; c++)
        for (uint32_t a = 0; a < app->contexts[c]->aggregate_count; a++)
            for (uint32_t d = 0; !st && d < app->context_count; d++)
                st = check_versions(app->contexts[c]->aggregates[a], app->contexts[d], err);
    return st;
}

static bool has_view(const ex_app *app, const ex_view_def *view)
{
    for (uint32_t c = 0; c < app->context_count; c++)
        for (uint32_t v = 0; v < app->contexts[c]->view_count; v++)
            if (app->contexts[c]->views[v] == view)
                return true;
    return false;
}

/* What nobody builds has no rows to ask for. */
static ex_status check_views_of_queries(const ex_app *app, ex_error *err)
{
    for (uint32_t c = 0; c < app->context_count; c++)
        for (uint32_t q = 0; q < app->contexts[c]->query_count; q++)
            if (!has_view(app, app->contexts[c]->queries[q]->view))
                return ex_raise(err, EX_EINVAL,
                                "context %s: query %s reads view %s, which no context lists in "
                                "its EX_VIEWS",
                                app->contexts[c]->name, app->contexts[c]->queries[q]->name,
                                app->contexts[c]->queries[q]->view->name);
    return EX_OK;
}

ex_status registry_check(const ex_app *app, ex_error *err)
{
    if (app->abi != EX_APP_ABI)
        return ex_raise(err, EX_EINVAL, "the application was built for interface %u, this is %u",
                        app->abi, EX_APP_ABI);
    ex_status st = app->context_count ? EX_OK : ex_raise(err, EX_EINVAL, "it has no context");
    for (uint32_t i = 0; !st && i < app->context_count; i++) {
        st = check_context(app->contexts[i], err);
        for (uint32_t k = 0; !st && k < i; k++)
            st = check_across(app->contexts[k], app->contexts[i], err);
    }
    if (!st)
        st = check_all_views(app, err);
    st = st ? st : check_all_versions(app, err);
    st = st ? st : check_views_of_queries(app, err);
    return st ? ex_error_context(err, st, "application '%s'", app->name ? app->name : "") : EX_OK;
}

/* ---- Look-ups ---- */

/* R-CB-13, R-CB-15: a name that is nearly right is answered with the one that was meant. */
static ex_status unknown(ex_error *err, const char *code, const char *what, const ex_suggest *near)
{
    const char *meant = ex_suggest_end(near);
    ex_status st =
        meant ? ex_raise(err, EX_ENOTFOUND, "there is no %s '%.*s'; did you mean '%s'?", what,
                         EX_ARG(near->word), meant)
              : ex_raise(err, EX_ENOTFOUND, "there is no %s '%.*s'", what, EX_ARG(near->word));
    ex_error_set_code(err, code);
    return st;
}

static ex_status unknown_context(const ex_app *app, ex_slice name, ex_error *err)
{
    ex_suggest near;
    ex_suggest_begin(&near, name);
    for (uint32_t i = 0; app && i < app->context_count; i++)
        ex_suggest_try(&near, app->contexts[i]->name);
    return unknown(err, "UNKNOWN_CONTEXT", "context", &near);
}

static ex_status unknown_aggregate(const ex_context *c, ex_slice name, ex_error *err)
{
    ex_suggest near;
    ex_suggest_begin(&near, name);
    for (uint32_t i = 0; i < c->aggregate_count; i++)
        ex_suggest_try(&near, c->aggregates[i]->name);
    return unknown(err, "UNKNOWN_AGGREGATE", "aggregate", &near);
}

static ex_status unknown_command(const ex_aggregate *a, ex_slice name, ex_error *err)
{
    ex_suggest near;
    ex_suggest_begin(&near, name);
    for (uint32_t i = 0; i < a->command_count; i++)
        ex_suggest_try(&near, a->commands[i].name);
    return unknown(err, "UNKNOWN_COMMAND", "command", &near);
}

static ex_status unknown_query(const ex_context *c, ex_slice name, ex_error *err)
{
    ex_suggest near;
    ex_suggest_begin(&near, name);
    for (uint32_t i = 0; i < c->query_count; i++)
        ex_suggest_try(&near, c->queries[i]->name);
    return unknown(err, "UNKNOWN_QUERY", "query", &near);
}

static const ex_context *find_context(const ex_app *app, ex_slice name)
{
    for (uint32_t i = 0; app && i < app->context_count; i++)
        if (ex_slice_is(name, app->contexts[i]->name))
            return app->contexts[i];
    return NULL;
}

ex_status registry_find_command(const ex_app *app, ex_slice context, ex_slice aggregate,
                                ex_slice command, const ex_aggregate **ret_aggregate,
                                const ex_command_def **ret_command, ex_error *err)
{
    const ex_context *c = find_context(app, context);
    if (!c)
        return unknown_context(app, context, err);
    const ex_aggregate *a = NULL;
    for (uint32_t i = 0; i < c->aggregate_count && !a; i++)
        if (ex_slice_is(aggregate, c->aggregates[i]->name))
            a = c->aggregates[i];
    if (!a)
        return unknown_aggregate(c, aggregate, err);
    for (uint32_t i = 0; i < a->command_count; i++) {
        if (ex_slice_is(command, a->commands[i].name)) {
            *ret_aggregate = a;
            *ret_command = &a->commands[i];
            return EX_OK;
        }
    }
    return unknown_command(a, command, err);
}

ex_status registry_find_query(const ex_app *app, ex_slice context, ex_slice query,
                              const ex_query_def **ret, ex_error *err)
{
    const ex_context *c = find_context(app, context);
    if (!c)
        return unknown_context(app, context, err);
    for (uint32_t i = 0; i < c->query_count; i++) {
        if (ex_slice_is(query, c->queries[i]->name)) {
            *ret = c->queries[i];
            return EX_OK;
        }
    }
    return unknown_query(c, query, err);
}

const ex_event_def *registry_find_event(const ex_aggregate *aggregate, ex_slice type)
{
    for (uint32_t i = 0; i < aggregate->event_count; i++)
        if (ex_slice_is(type, aggregate->events[i].type->name))
            return &aggregate->events[i];
    return NULL;
}

bool registry_ignores(const ex_aggregate *aggregate, ex_slice type)
{
    for (uint32_t i = 0; i < aggregate->ignored_count; i++)
        if (ex_slice_is(type, aggregate->ignored[i]))
            return true;
    return false;
}

/* The category of a stream: its name up to the first dash. */
static bool is_of(ex_slice stream, const char *category)
{
    size_t len = strlen(category);
    return stream.len > len && stream.ptr[len] == '-' && memcmp(stream.ptr, category, len) == 0;
}

const ex_aggregate *registry_find_aggregate(const ex_app *app, ex_slice stream)
{
    for (uint32_t c = 0; c < app->context_count; c++)
        for (uint32_t i = 0; i < app->contexts[c]->aggregate_count; i++)
            if (is_of(stream, app->contexts[c]->aggregates[i]->name))
                return app->contexts[c]->aggregates[i];
    return NULL;
}
