/* append.c: the verb `append`: one event to one stream. */
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/target.h"
#include "store/content_type.h"

#include <excore/json.h>

#include <inttypes.h>
#include <stdlib.h>

#define JSON_ARENA_BYTES ((size_t)256 << 20)

typedef struct request {
    ex_new_event event;
    ex_stream_write write;
    ex_buf data, metadata; /* what was read from files */
    ex_slice *tags;
} request;

/* ---- The arguments ---- */

static ex_status take_expected(const char *text, ex_expected *ret, ex_error *err)
{
    uint64_t version = 0;
    if (strcmp(text, "any") == 0)
        *ret = EX_ANY;
    else if (strcmp(text, "exists") == 0)
        *ret = EX_EXISTS;
    else if (strcmp(text, "no_stream") == 0)
        *ret = EX_NO_STREAM;
    else if (args_parse_number(text, &version) && version < INT64_MAX)
        *ret = EX_EXACT(version);
    else
        return ex_raise(err, EX_EINVAL,
                        "option '--expected' wants any, no_stream, exists or a version, not '%s'",
                        text);
    return EX_OK;
}

static ex_status take_tags(const args *a, request *r, ex_error *err)
{
    r->tags = calloc(a->value_count + 1, sizeof(*r->tags));
    if (!r->tags)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    size_t at = 0;
    for (const char *tag; (tag = args_next(a, "tag", &at));)
        r->tags[r->event.tag_count++] = ex_str(tag);
    r->event.tags = r->tags;
    return EX_OK;
}

static ex_slice without_blanks(ex_slice s)
{
    static const char blanks[] = " \t\r\n";
    while (s.len > 0 && memchr(blanks, s.ptr[0], 4))
        s = ex_slice_of(s.ptr + 1, s.len - 1);
    while (s.len > 0 && memchr(blanks, s.ptr[s.len - 1], 4))
        s.len--;
    return s;
}

/* JSON is checked here, so that a typing error is shown with its place; the blanks around it are
 * not part of it. */
static ex_status check_json(const char *what, ex_slice *text, ex_error *err)
{
    ex_arena arena;
    ex_arena_init(&arena, JSON_ARENA_BYTES);
    *text = without_blanks(*text);
    ex_status status = ex_json_validate(*text, &arena, NULL, err);
    ex_arena_done(&arena);
    return status ? ex_error_context(err, status, "%s is no JSON", what) : EX_OK;
}

static ex_status take_event(const args *a, request *r, ex_error *err)
{
    ex_new_event *e = &r->event;
    e->type = ex_str(args_operand(a, 1));
    e->content_type = ex_str(args_text(a, "content-type", NULL));
    uint64_t schema_version = args_number(a, "schema-version", 1);
    if (schema_version == 0 || schema_version > UINT32_MAX)
        return ex_raise(err, EX_EINVAL, "option '--schema-version' wants 1 to 4294967295");
    e->schema_version = (uint32_t)schema_version;
    const char *id = args_text(a, "id", NULL);
    ex_status status = id ? ex_id_parse(ex_str(id), &e->id, err) : EX_OK;
    if (!status && id && ex_id_is_nil(&e->id))
        status = ex_raise(err, EX_EINVAL, "the nil id is none");
    if (status)
        return ex_error_context(err, status, "option '--id'");
    if (!id) /* known before it is sent: whoever gets no answer can repeat it */
        status = ex_id_new(&e->id, err);
    return status ? status : take_tags(a, r, err);
}

static ex_status take_contents(const args *a, request *r, ex_error *err)
{
    ex_new_event *e = &r->event;
    ex_status status = input_read(args_operand(a, 2), &r->data, &e->data, err);
    if (!status && (!e->content_type.len || ex_content_is_json(e->content_type)))
        status = check_json("DATA", &e->data, err);
    const char *metadata = args_text(a, "metadata", NULL);
    if (!status && metadata)
        status = input_read(metadata, &r->metadata, &e->metadata, err);
    if (!status && metadata)
        status = check_json("--metadata", &e->metadata, err);
    return status;
}

/* Also refused by the server; the store itself lets the platform write them. */
static ex_status check_stream(ex_slice stream, ex_error *err)
{
    if (stream.len > 0 && stream.ptr[0] == '$')
        return ex_raise(err, EX_EFORBIDDEN,
                        "streams whose names begin with $ belong to the platform");
    return EX_OK;
}

/* ---- The answer ---- */

static void print_json(const ex_appended *done)
{
    char id[EX_ID_TEXT_SIZE];
    printf("{\"position\":%" PRIu64 ",\"version\":%" PRIu64 ",%s\"events\":[{\"id\":\"%s\","
           "\"position\":%" PRIu64 ",\"version\":%" PRIu64 "}]}\n",
           done->position, done->version, done->is_duplicate ? "\"duplicate\":true," : "",
           ex_id_text(&done->events[0].id, id).ptr, done->events[0].position,
           done->events[0].version);
}

static void print_line(ex_slice stream, const ex_appended *done)
{
    printf("%.*s@%" PRIu64 " position %" PRIu64 "%s\n", EX_ARG(stream), done->version,
           done->position, done->is_duplicate ? " (stored before)" : "");
}

static ex_status append(const args *a, request *r, ex_error *err)
{
    target t = {0};
    ex_event_ref ref = {0};
    ex_appended done = {.events = &ref, .event_room = 1};
    ex_status status = check_stream(r->write.stream, err);
    if (!status)
        status = target_open(a, TARGET_WRITE, &t, err);
    if (!status)
        status = t.ops->append(t.impl, &r->write, &done, err);
    target_close(&t);
    if (status)
        return status;
    if (args_has(a, "json"))
        print_json(&done);
    else
        print_line(r->write.stream, &done);
    return EX_OK;
}

static void print_advice(const request *r, ex_status status)
{
    char id[EX_ID_TEXT_SIZE];
    if (status == EX_EINUSE)
        fprintf(stderr, "A server that has it open takes events at its --url.\n");
    if (status == EX_EOUTCOME || status == EX_EUPSTREAM || status == EX_ETIMEOUT)
        fprintf(
            stderr,
            "It may have been stored, or not. Repeat it with --id %s: then it is stored once.\n",
            ex_id_text(&r->event.id, id).ptr);
}

static int run_append(const cli *c, const args *a)
{
    ex_error err = {0};
    request r = {0};
    ex_buf_init(&r.data, INPUT_LIMIT_BYTES);
    ex_buf_init(&r.metadata, INPUT_LIMIT_BYTES);
    r.write = (ex_stream_write){
        .stream = ex_str(args_operand(a, 0)), .events = &r.event, .event_count = 1};
    int code = CLI_OK;
    ex_status status = take_expected(args_text(a, "expected", "any"), &r.write.expected, &err);
    if (!status)
        status = take_event(a, &r, &err);
    if (!status)
        status = target_check(a, &err);
    if (status) {
        code = cli_misuse(c, a->verb, "%s", err.message);
    } else {
        status = take_contents(a, &r, &err);
        if (!status)
            status = append(a, &r, &err);
        if (status)
            code = cli_fail(c, a, &err);
        print_advice(&r, status);
    }
    ex_buf_done(&r.data);
    ex_buf_done(&r.metadata);
    free(r.tags);
    return code;
}

static const arg_option options[] = {
    TARGET_OPTIONS,
    {'t', "tag", ARG_LIST, "KEY:VALUE", "tag of the event; may be repeated", NULL},
    {'e', "expected", ARG_TEXT, "VERSION",
     "what the stream must be: any (default), no_stream, exists, or at this version", NULL},
    {0, "id", ARG_TEXT, "UUID", "id of the event; the same one again changes nothing [a new one]",
     NULL},
    {0, "metadata", ARG_TEXT, "JSON", "metadata, a JSON object; - and @FILE as for DATA", NULL},
    {0, "schema-version", ARG_NUMBER, "N", "version of the type's schema [1]", NULL},
    {0, "content-type", ARG_TEXT, "TYPE", "what DATA is [application/json]", NULL},
    {0, "json", ARG_FLAG, NULL, "print the answer as JSON", NULL},
    {0},
};

const cli_verb cli_verb_append = {
    .name = "append",
    .summary = "append an event to a stream",
    .operands = "STREAM TYPE DATA",
    .options = options,
    .details = "DATA is JSON, - for standard input, or @FILE. It prints STREAM@VERSION and the\n"
               "position in the log once the event is durable. A directory named with --data is\n"
               "made into a store when it is none; while a server has it open, use --url.",
    .examples = "append order-1 OrderPlaced '{\"total_cents\":500}' --tag customer:7 -d ./data\n"
                "append order-1 OrderPaid @payment.json --expected 1 -u http://127.0.0.1:8080",
    .run = run_append,
};
