/* openapi.c: see openapi.h. The document is put together as text with ' for " (openapi_text.h),
 * which no name in it can hold: the runtime checks the names of an application when it starts. */
#include "model/openapi.h"

#include "model/openapi_text.h"
#include "runtime/type_field.h"
#include "runtime/type_schema.h"

#include <excore/json.h>

#include <assert.h>
#include <stdlib.h>

#define SCHEMA_PREFIX   "#/components/schemas/"
#define COMMAND_PATTERN "/v1/{context}/{aggregate}/{id}/{command}"
#define QUERY_PATTERN   "/v1/{context}/{query}"

#define PARAMETER(name) "{'$ref':'#/components/parameters/" name "'}"
#define PROBLEM(status) "'" status "':{'$ref':'#/components/responses/Problem'}"
#define RESULT                                                                                     \
    "'content':{'application/json':{'schema':{'$ref':'#/components/schemas/CommandResult'}}}"
#define FROM_PATH "{'name':'%.*s','in':'path','required':true,'schema':{'type':'string'}}"

/* ---- Paths of the platform ---- */

/* 'parameters' of the {names} in a pattern. */
static void put_path_params(ex_buf *out, const char *pattern)
{
    ex_buf_put_str(out, "'parameters':[");
    const char *comma = "";
    for (const char *open = strchr(pattern, '{'); open; open = strchr(open + 1, '{')) {
        ex_buf_put_str(out, comma);
        ex_buf_printf(out, FROM_PATH, (int)strcspn(open + 1, "}"), open + 1);
        comma = ",";
    }
    ex_buf_put_str(out, "]");
}

static const char *method_key(http_method m)
{
    static const char *const keys[] = {
        [HTTP_GET_] = "get",        [HTTP_HEAD_] = "head",   [HTTP_POST_] = "post",
        [HTTP_PUT_] = "put",        [HTTP_PATCH_] = "patch", [HTTP_DELETE_] = "delete",
        [HTTP_OPTIONS_] = "options"};
    assert(m < HTTP_OTHER_);
    return keys[m];
}

static bool is_expanded(const char *pattern)
{
    return strcmp(pattern, COMMAND_PATTERN) == 0 || strcmp(pattern, QUERY_PATTERN) == 0;
}

/* A path with all its methods, written where its pattern comes first in the table. */
static void put_route_path(ex_buf *out, const openapi_source *s, size_t index)
{
    const char *pattern = s->routes[index].pattern;
    for (size_t i = 0; i < index; i++)
        if (strcmp(s->routes[i].pattern, pattern) == 0)
            return;
    if (is_expanded(pattern))
        return;
    ex_buf_printf(out, "%s'%s':{", index ? "," : "", pattern);
    put_path_params(out, pattern);
    for (size_t i = index; i < s->route_count; i++) {
        if (strcmp(s->routes[i].pattern, pattern) != 0)
            continue;
        const char *text = openapi_operation(s->routes[i].method, pattern);
        ex_buf_printf(out, ",'%s':%s", method_key(s->routes[i].method),
                      text ? text : "{'responses':{'default':{'description':'Any'}}}");
    }
    ex_buf_put_char(out, '}');
}

/* ---- Paths of the application ---- */

/* A command whose members all have defaults, or stand in the path, may come without a body. */
static bool needs_body(const ex_type *type)
{
    for (uint32_t i = 0; i < type->field_count; i++)
        if (!type_is_optional(&type->fields[i]) && !type->fields[i].is_key)
            return true;
    return false;
}

static void put_command(ex_buf *out, const ex_context *c, const ex_aggregate *a,
                        const ex_command_def *cmd)
{
    static const char parameters[] = "'parameters':[" PARAMETER("IdempotencyKey") "," PARAMETER(
        "IfMatch") "," PARAMETER("IfNoneMatch") "," PARAMETER("CorrelationId") "],";
    static const char answers[] =
        "'responses':{'201':{'description':'Executed, or failed as its event records'," RESULT "},"
        "'200':{'description':'The stored outcome of an earlier call'," RESULT
        "}," PROBLEM("400") "," PROBLEM("403") "," PROBLEM("404") "," PROBLEM("409") "," PROBLEM(
            "4"
            "1"
            "3") "," PROBLEM("415") "," PROBLEM("421") "," PROBLEM("422") "," PROBLEM("500") "," PROBLEM("503") "," PROBLEM("504") "}}}";
    ex_buf_printf(out,
                  ",'/v1/%s/%s/{id}/%s':{'parameters':[{'name':'id','in':'path',"
                  "'required':true,'schema':{'type':'string','minLength':1,'maxLength':200}}],",
                  c->name, a->name, cmd->name);
    ex_buf_printf(out, "'post':{'operationId':'%s_%s_%s','tags':['%s'],'summary':'%s',%s", c->name,
                  a->name, cmd->name, c->name, cmd->type->name, parameters);
    ex_buf_printf(out,
                  "'requestBody':{'required':%s,'content':{'application/json':{'schema':{'$ref':"
                  "'" SCHEMA_PREFIX "%s'}}}},%s",
                  needs_body(cmd->type) ? "true" : "false", cmd->type->name, answers);
}

static void put_query_params(ex_buf *out, const ex_query_def *q)
{
    ex_buf_put_str(out, "'parameters':[" PARAMETER("MinPosition") "," PARAMETER(
                            "Consistency") "," PARAMETER("IfChanged"));
    if (q->kind == EX_QUERY_PAGE || q->kind == EX_QUERY_LIST)
        ex_buf_put_str(out, "," PARAMETER("Limit"));
    if (q->kind == EX_QUERY_PAGE)
        ex_buf_put_str(out, "," PARAMETER("Cursor"));
    for (uint32_t i = 0; q->params && i < q->params->field_count; i++) {
        const ex_field *f = &q->params->fields[i];
        ex_buf_printf(out,
                      ",{'name':'%s','in':'query','required':%s,"
                      "'schema':{'$ref':'" SCHEMA_PREFIX "%s/properties/%s'}}",
                      f->name, type_is_optional(f) ? "false" : "true", q->params->name, f->name);
    }
    ex_buf_put_char(out, ']');
}

static void put_query_answer(ex_buf *out, const ex_query_def *q)
{
    static const char position[] = "'position':{'type':'integer','minimum':0}";
    const char *row = q->row ? q->row->name : "";
    switch (q->kind) {
    case EX_QUERY_PAGE:
        ex_buf_printf(
            out,
            "'items':{'type':'array','items':{'$ref':'" SCHEMA_PREFIX "%s'}},"
            "'continue_cursor':{'type':['string','null']},'is_done':{'type':'boolean'},%s",
            row, position);
        break;
    case EX_QUERY_LIST:
        ex_buf_printf(out, "'items':{'type':'array','items':{'$ref':'" SCHEMA_PREFIX "%s'}},%s",
                      row, position);
        break;
    case EX_QUERY_SINGLE:
        ex_buf_printf(out, "'item':{'oneOf':[{'$ref':'" SCHEMA_PREFIX "%s'},{'type':'null'}]},%s",
                      row, position);
        break;
    case EX_QUERY_COUNT:
        ex_buf_printf(out, "'count':{'type':'integer','minimum':0},%s", position);
        break;
    }
}

static const char *answer_members(ex_query_kind kind)
{
    switch (kind) {
    case EX_QUERY_PAGE:
        return "'items','continue_cursor','is_done','position'";
    case EX_QUERY_LIST:
        return "'items','position'";
    case EX_QUERY_SINGLE:
        return "'item','position'";
    case EX_QUERY_COUNT:
        break;
    }
    return "'count','position'";
}

static void put_query(ex_buf *out, const ex_context *c, const ex_query_def *q)
{
    ex_buf_printf(out, ",'/v1/%s/%s':{'get':{'operationId':'%s_%s','tags':['%s'],'summary':'%s',",
                  c->name, q->name, c->name, q->name, c->name, q->name);
    put_query_params(out, q);
    ex_buf_put_str(out,
                   ",'responses':{'200':{'description':'The answer','content':{'application/json':{"
                   "'schema':{'type':'object','required':[");
    ex_buf_put_str(out, answer_members(q->kind));
    ex_buf_put_str(out, "],'properties':{");
    put_query_answer(out, q);
    ex_buf_put_str(
        out,
        "}}}}},'304':{'$ref':'#/components/responses/Unchanged'}," PROBLEM("400") "," PROBLEM("404") "," PROBLEM(
            "406") "," PROBLEM("409") "," PROBLEM("421") "," PROBLEM("500") "," PROBLEM("503") "," PROBLEM("504") "}}}");
}

static void put_context(ex_buf *out, const ex_context *c)
{
    for (uint32_t i = 0; i < c->aggregate_count; i++)
        for (uint32_t j = 0; j < c->aggregates[i]->command_count; j++)
            put_command(out, c, c->aggregates[i], &c->aggregates[i]->commands[j]);
    for (uint32_t i = 0; i < c->query_count; i++)
        put_query(out, c, c->queries[i]);
}

/* ---- Schemas of the application: real JSON ---- */

static void collect_types(const ex_context *c, ex_type_set *set)
{
    for (uint32_t i = 0; i < c->aggregate_count; i++)
        for (uint32_t j = 0; j < c->aggregates[i]->command_count; j++)
            ex_type_collect(c->aggregates[i]->commands[j].type, set);
    for (uint32_t i = 0; i < c->aggregate_count; i++)
        for (uint32_t j = 0; j < c->aggregates[i]->event_count; j++)
            ex_type_collect(c->aggregates[i]->events[j].type, set);
    for (uint32_t i = 0; i < c->view_count; i++)
        for (uint32_t j = 0; j < c->views[i]->event_count; j++)
            ex_type_collect(c->views[i]->events[j].type, set);
    for (uint32_t i = 0; i < c->query_count; i++) {
        if (c->queries[i]->params)
            ex_type_collect(c->queries[i]->params, set);
        if (c->queries[i]->row)
            ex_type_collect(c->queries[i]->row, set);
    }
}

static bool is_named_before(const ex_type_set *set, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (strcmp(set->types[i]->name, set->types[index]->name) == 0)
            return true;
    return false;
}

/* Which data an event of which type has: the stored events that the application knows. */
static void put_event_of(ex_buf *out, const ex_type *type, const char **comma)
{
    ex_buf_printf(out,
                  "%s{\"type\":\"object\",\"properties\":{\"type\":{\"const\":\"%s\"},"
                  "\"schema_version\":{\"const\":%u},\"data\":{\"$ref\":\"" SCHEMA_PREFIX "%s\"}},"
                  "\"required\":[\"type\",\"data\"]}",
                  *comma, type->name, type->schema_version, type->name);
    *comma = ",";
}

static void put_event_schema(const ex_app *app, ex_buf *out)
{
    const char *comma = "";
    ex_buf_put_str(out,
                   ",\"KnownEvent\":{\"description\":\"An event of a type of this application\","
                   "\"allOf\":[{\"$ref\":\"" SCHEMA_PREFIX "Event\"}],\"anyOf\":[");
    for (uint32_t i = 0; i < app->context_count; i++)
        for (uint32_t j = 0; j < app->contexts[i]->aggregate_count; j++)
            for (uint32_t k = 0; k < app->contexts[i]->aggregates[j]->event_count; k++)
                put_event_of(out, app->contexts[i]->aggregates[j]->events[k].type, &comma);
    ex_buf_put_str(out, *comma ? "]}" : "true]}");
}

static void put_app_schemas(const ex_app *app, ex_buf *out)
{
    ex_type_set *set = calloc(1, sizeof(*set));
    if (!set) {
        out->status = EX_ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < app->context_count; i++)
        collect_types(app->contexts[i], set);
    for (uint32_t i = 0; i < set->count; i++) {
        ex_json_writer w;
        if (is_named_before(set, i))
            continue;
        ex_buf_put_char(out, ',');
        ex_json_put_string(out, ex_str(set->types[i]->name));
        ex_buf_put_char(out, ':');
        ex_json_writer_init(&w, out);
        ex_type_write_schema_object(set->types[i], SCHEMA_PREFIX, &w);
    }
    free(set);
    put_event_schema(app, out);
}

/* ---- The document ---- */

static void put_paths(const openapi_source *s, ex_buf *out)
{
    for (size_t i = 0; i < s->route_count; i++)
        put_route_path(out, s, i);
    for (uint32_t i = 0; s->app && i < s->app->context_count; i++)
        put_context(out, s->app->contexts[i]);
}

static void put_translated(ex_buf *out, const ex_buf *text)
{
    if (ex_buf_status(text))
        out->status = ex_buf_status(text);
    for (size_t i = 0; i < text->len; i++)
        ex_buf_put_char(out, text->ptr[i] == '\'' ? '"' : text->ptr[i]);
}

void openapi_write(const openapi_source *source, ex_buf *out)
{
    ex_buf text;
    ex_buf_init(&text, 0);
    ex_buf_printf(&text,
                  "{'openapi':'3.1.0','info':{'title':'%s','version':'%s'},"
                  "'servers':[{'url':'/','description':'Where this document comes from'}],"
                  "'paths':{",
                  source->app ? source->app->name : "ExCore", source->version);
    put_paths(source, &text);
    ex_buf_printf(&text, "},'components':{'responses':{%s},'parameters':{%s},'schemas':{%s",
                  openapi_responses, openapi_parameters, openapi_schemas);
    put_translated(out, &text);
    if (source->app)
        put_app_schemas(source->app, out);
    ex_buf_put_str(out, "}}}");
    ex_buf_done(&text);
}
