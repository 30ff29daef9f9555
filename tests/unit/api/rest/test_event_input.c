/* test_event_input.c: bodies and headers of appends: what is read, and what is refused with which
 * code and field (R-01-15, R-06-04). */
#include "api/rest/event_input.h"

#include "support/alloc_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define UUID     "01970c3e-8a00-7000-8000-0123456789ab"

typedef struct fixture {
    ex_arena arena;
    append_input in;
    ex_error err;
} fixture;

static ex_status read_stream(fixture *f, append_body kind, ex_slice body)
{
    memset(f, 0, sizeof(*f));
    ex_arena_init(&f->arena, 8 << 20);
    return append_input_stream(EX_S("order-1"), kind, body, (expected_input){0}, &f->arena, &f->in,
                               &f->err);
}

static ex_status read_streams(fixture *f, ex_slice body)
{
    memset(f, 0, sizeof(*f));
    ex_arena_init(&f->arena, 8 << 20);
    return append_input_streams(body, &f->arena, &f->in, &f->err);
}

static const ex_new_event *event_at(const fixture *f, uint32_t i)
{
    return &f->in.append.writes[0].events[i];
}

static void assert_slice(ex_slice got, const char *want)
{
    if (!ex_slice_is(got, want))
        fail_msg("\"%.*s\" is not \"%s\"", EX_ARG(got), want);
}

/* ---- Good input ---- */

static void test_event_input_reads_every_field(void **state)
{
    (void)state;
    fixture f;
    ex_slice body =
        EX_S("{\"events\":[{\"type\":\"A\",\"data\": {\"n\" : 1.50} ,\"id\":\"" UUID "\","
             "\"metadata\":{\"$correlation_id\":\"c\",\"$causation_id\":\"d\",\"x\":1},"
             "\"tags\":[\"a:1\",\"b:2\"],\"schema_version\":7},"
             "{\"type\":\"B\",\"data_base64\":\"AAEC\",\"content_type\":\"image/png\"}],"
             "\"expected\":3,\"condition\":{\"fail_if_match\":{\"items\":[{\"types\":[\"T\"],"
             "\"tags\":[\"k:v\",\"l:w\"]},{}]},\"after\":9}}");
    assert_int_equal(read_stream(&f, APPEND_JSON, body), EX_OK);
    assert_int_equal(f.in.event_count, 2);
    assert_int_equal(f.in.append.write_count, 1);
    assert_slice(f.in.append.writes[0].stream, "order-1");
    assert_int_equal(f.in.append.writes[0].expected.raw, EX_EXACT(3).raw);
    const ex_new_event *e = event_at(&f, 0);
    char id[EX_ID_TEXT_SIZE];
    assert_slice(e->type, "A");
    assert_slice(e->data, "{\"n\" : 1.50}"); /* byte for byte */
    assert_slice(ex_id_text(&e->id, id), UUID);
    assert_slice(e->metadata, "{\"$correlation_id\":\"c\",\"$causation_id\":\"d\",\"x\":1}");
    assert_slice(e->correlation_id, "c");
    assert_slice(e->causation_id, "d");
    assert_int_equal(e->tag_count, 2);
    assert_slice(e->tags[1], "b:2");
    assert_int_equal(e->schema_version, 7);
    assert_int_equal(event_at(&f, 1)->data.len, 3);
    assert_memory_equal(event_at(&f, 1)->data.ptr, "\0\1\2", 3);
    assert_slice(event_at(&f, 1)->content_type, "image/png");
    assert_ptr_equal(f.in.append.fail_if_match, &f.in.query);
    assert_int_equal(f.in.append.after, 9);
    assert_int_equal(f.in.query.item_count, 2);
    assert_slice(f.in.query.items[0].types[0], "T");
    assert_int_equal(f.in.query.items[0].tag_count, 2);
    assert_int_equal(f.in.query.items[1].type_count, 0);
    ex_arena_done(&f.arena);
}

static void test_event_input_expected_words(void **state)
{
    static const struct {
        const char *text;
        ex_expected want;
    } cases[] = {
        {"\"any\"", {0}}, {"\"exists\"", {1}}, {"\"no_stream\"", {2}}, {"0", {2}}, {"41", {43}},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f;
        char body[128];
        int n =
            snprintf(body, sizeof(body),
                     "{\"events\":[{\"type\":\"A\",\"data\":1}],\"expected\":%s}", cases[i].text);
        assert_int_equal(read_stream(&f, APPEND_JSON, ex_slice_of(body, (size_t)n)), EX_OK);
        assert_int_equal(f.in.append.writes[0].expected.raw, cases[i].want.raw);
        ex_arena_done(&f.arena);
    }
}

static void test_event_input_several_streams(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(
        read_streams(
            &f, EX_S("{\"writes\":[{\"stream\":\"a-1\",\"events\":[{\"type\":\"A\",\"data\":1},"
                     "{\"type\":\"B\",\"data\":2}],\"expected\":\"no_stream\"},"
                     "{\"stream\":\"b-2\",\"expected\":4}]}")),
        EX_OK);
    assert_int_equal(f.in.event_count, 2);
    assert_int_equal(f.in.append.write_count, 2);
    assert_slice(f.in.append.writes[1].stream, "b-2");
    assert_int_equal(f.in.append.writes[1].event_count, 0);
    assert_int_equal(f.in.append.writes[1].expected.raw, EX_EXACT(4).raw);
    assert_null(f.in.append.fail_if_match);
    ex_arena_done(&f.arena);
}

/* R-01-54: a request's correlation goes where the event brings none of its own. */
static void test_event_input_correlates(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(
        read_stream(&f, APPEND_JSON,
                    EX_S("{\"events\":[{\"type\":\"A\",\"data\":1},{\"type\":\"A\",\"data\":1,"
                         "\"metadata\":{\"$correlation_id\":\"own\"}}]}")),
        EX_OK);
    append_input_correlate(&f.in, EX_S("request-1"));
    assert_slice(event_at(&f, 0)->correlation_id, "request-1");
    assert_slice(event_at(&f, 0)->metadata, "");
    assert_slice(event_at(&f, 1)->correlation_id, "own");
    ex_arena_done(&f.arena);
}

static void test_event_input_cloudevent(void **state)
{
    (void)state;
    fixture f;
    ex_slice body =
        EX_S("{\"specversion\":\"1.0\",\"id\":\"" UUID "\",\"source\":\"/shop\",\"type\":\"A\","
             "\"time\":\"2026-11-21T09:30:00Z\",\"subject\":null,\"traceparent\":\"00-1\","
             "\"tags\":\"a:1,b:x%2Cy\",\"schemaversion\":2,\"correlationid\":\"c\","
             "\"metadata\":\"{\\\"k\\\":1}\",\"data\":{\"n\": 1}}");
    assert_int_equal(read_stream(&f, APPEND_CLOUDEVENT, body), EX_OK);
    const ex_new_event *e = event_at(&f, 0);
    assert_int_equal(f.in.event_count, 1);
    assert_slice(e->type, "A");
    assert_slice(e->data, "{\"n\": 1}");
    assert_int_equal(e->schema_version, 2);
    assert_slice(e->correlation_id, "c");
    assert_int_equal(e->tag_count, 2);
    assert_slice(e->tags[0], "a:1");
    assert_slice(e->tags[1], "b:x,y");
    assert_slice(e->metadata, "{\"k\":1,\"cloudevent\":{\"source\":\"/shop\","
                              "\"time\":\"2026-11-21T09:30:00Z\",\"traceparent\":\"00-1\"}}");
    ex_arena_done(&f.arena);
}

static void test_event_input_cloudevent_data_forms(void **state)
{
    static const struct {
        const char *members, *data;
    } cases[] = {
        {"", "null"},
        {",\"data\":null", "null"},
        {",\"data_base64\":\"WzFd\"", "[1]"},
        {",\"datacontenttype\":\"text/plain\",\"data\":\"a\\nb\"", "a\nb"},
        {",\"datacontenttype\":\"text/plain\"", ""},
        {",\"datacontenttype\":\"text/plain\",\"data_base64\":\"YWI=\"", "ab"},
        {",\"datacontenttype\":\"application/x+json\",\"data\":\"a\"", "\"a\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f;
        char body[256];
        int n = snprintf(body, sizeof(body),
                         "[{\"specversion\":\"1.0\",\"id\":\"" UUID
                         "\",\"source\":\"s\",\"type\":\"A\"%s}]",
                         cases[i].members);
        assert_int_equal(read_stream(&f, APPEND_CLOUDEVENT_BATCH, ex_slice_of(body, (size_t)n)),
                         EX_OK);
        assert_slice(event_at(&f, 0)->data, cases[i].data);
        ex_arena_done(&f.arena);
    }
}

/* ---- Bad input ---- */

typedef struct bad_case {
    const char *name, *body;
    ex_status status;
    const char *code, *field;
} bad_case;

static void check_bad(const bad_case *c, ex_status got, fixture *f)
{
    if (got != c->status || strcmp(f->err.code, c->code) != 0 ||
        strcmp(f->err.field, c->field) != 0)
        fail_msg("%s: status %d code \"%s\" field \"%s\" (%s)", c->name, got, f->err.code,
                 f->err.field, f->err.message);
    if (f->err.message[0] == '\0')
        fail_msg("%s: no message", c->name);
    ex_arena_done(&f->arena);
}

#define EVENT(members) "{\"events\":[{\"type\":\"A\",\"data\":1" members "}]}"

/* clang-format off */
static const bad_case stream_cases[] = {
    {"empty",               "",                                 EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"blanks",              " \n",                              EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"cut short",           "{\"events\":[{\"type\":\"A\"",     EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"cut in a text",       "{\"events\":[{\"type\":\"A",       EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"two values",          "{} {}",                            EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"comment",             "{/**/\"events\":[]}",              EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"bad UTF-8",           "{\"events\":[{\"type\":\"\xc3\x28\",\"data\":1}]}", EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"lone surrogate",      "{\"events\":[{\"type\":\"\\ud800\",\"data\":1}]}",  EX_EMALFORMED, "MALFORMED_JSON", ""},
    {"duplicate key",       EVENT(",\"type\":\"B\""),           EX_EMALFORMED, "DUPLICATE_KEY", ""},
    {"duplicate in data",   "{\"events\":[{\"type\":\"A\",\"data\":{\"a\":1,\"a\":2}}]}", EX_EMALFORMED, "DUPLICATE_KEY", ""},
    {"not an object",       "[]",                               EX_EINVAL, "INVALID_INPUT", ""},
    {"no events",           "{}",                               EX_EINVAL, "INVALID_INPUT", "events"},
    {"empty events",        "{\"events\":[]}",                  EX_EINVAL, "INVALID_INPUT", "events"},
    {"events no array",     "{\"events\":{}}",                  EX_EINVAL, "INVALID_INPUT", "events"},
    {"event no object",     "{\"events\":[1]}",                 EX_EINVAL, "INVALID_INPUT", "events[0]"},
    {"unknown field",       "{\"events\":[],\"x\":1}",          EX_EINVAL, "UNKNOWN_FIELD", "x"},
    {"unknown in event",    EVENT(",\"dat\":1"),                EX_EINVAL, "UNKNOWN_FIELD", "events[0].dat"},
    {"no type",             "{\"events\":[{\"data\":1}]}",      EX_EINVAL, "INVALID_INPUT", "events[0].type"},
    {"type no text",        "{\"events\":[{\"type\":1,\"data\":1}]}", EX_EINVAL, "INVALID_INPUT", "events[0].type"},
    {"no data",             "{\"events\":[{\"type\":\"A\"}]}",  EX_EINVAL, "INVALID_INPUT", "events[0].data"},
    {"data twice",          EVENT(",\"data_base64\":\"\""),     EX_EINVAL, "INVALID_INPUT", "events[0].data"},
    {"data of bytes",       EVENT(",\"content_type\":\"image/png\""), EX_EINVAL, "INVALID_INPUT", "events[0].data"},
    {"empty content type",  EVENT(",\"content_type\":\"\""),    EX_EINVAL, "INVALID_INPUT", "events[0].content_type"},
    {"bad base64",          "{\"events\":[{\"type\":\"A\",\"content_type\":\"a/b\",\"data_base64\":\"AA\"}]}", EX_EINVAL, "INVALID_INPUT", "events[0].data_base64"},
    {"base64 rest bits",    "{\"events\":[{\"type\":\"A\",\"content_type\":\"a/b\",\"data_base64\":\"AB==\"}]}", EX_EINVAL, "INVALID_INPUT", "events[0].data_base64"},
    {"base64 odd letter",   "{\"events\":[{\"type\":\"A\",\"content_type\":\"a/b\",\"data_base64\":\"A-==\"}]}", EX_EINVAL, "INVALID_INPUT", "events[0].data_base64"},
    {"base64 of no JSON",   "{\"events\":[{\"type\":\"A\",\"data_base64\":\"AAAA\"}]}", EX_EMALFORMED, "MALFORMED_JSON", "events[0].data_base64"},
    {"bad id",              EVENT(",\"id\":\"7\""),             EX_EINVAL, "INVALID_INPUT", "events[0].id"},
    {"nil id",              EVENT(",\"id\":\"00000000-0000-0000-0000-000000000000\""), EX_EINVAL, "INVALID_INPUT", "events[0].id"},
    {"metadata no object",  EVENT(",\"metadata\":[]"),          EX_EINVAL, "INVALID_INPUT", "events[0].metadata"},
    {"correlation no text", EVENT(",\"metadata\":{\"$correlation_id\":1}"), EX_EINVAL, "INVALID_INPUT", "events[0].metadata.$correlation_id"},
    {"causation empty",     EVENT(",\"metadata\":{\"$causation_id\":\"\"}"), EX_EINVAL, "INVALID_INPUT", "events[0].metadata.$causation_id"},
    {"tags no array",       EVENT(",\"tags\":\"a:1\""),         EX_EINVAL, "INVALID_INPUT", "events[0].tags"},
    {"tag no text",         EVENT(",\"tags\":[\"a:1\",2]"),     EX_EINVAL, "INVALID_INPUT", "events[0].tags[1]"},
    {"schema 0",            EVENT(",\"schema_version\":0"),     EX_EINVAL, "INVALID_INPUT", "events[0].schema_version"},
    {"schema 1.5",          EVENT(",\"schema_version\":1.5"),   EX_EINVAL, "INVALID_INPUT", "events[0].schema_version"},
    {"expected word",       "{\"events\":[],\"expected\":\"none\"}", EX_EINVAL, "INVALID_INPUT", "expected"},
    {"expected negative",   "{\"events\":[],\"expected\":-1}",  EX_EINVAL, "INVALID_INPUT", "expected"},
    {"expected huge",       "{\"events\":[],\"expected\":18446744073709551615}", EX_EINVAL, "INVALID_INPUT", "expected"},
    {"empty condition",     "{\"events\":[],\"condition\":{}}", EX_EINVAL, "INVALID_INPUT", "condition.fail_if_match"},
    {"no items",            "{\"events\":[],\"condition\":{\"fail_if_match\":{}}}", EX_EINVAL, "INVALID_INPUT", "condition.fail_if_match.items"},
    {"unknown in item",     "{\"events\":[],\"condition\":{\"fail_if_match\":{\"items\":[{},{\"tag\":[]}]}}}", EX_EINVAL, "UNKNOWN_FIELD", "condition.fail_if_match.items[1].tag"},
    {"after no number",     "{\"events\":[],\"condition\":{\"fail_if_match\":{\"items\":[]},\"after\":\"1\"}}", EX_EINVAL, "INVALID_INPUT", "condition.after"},
};

#define CE(members) "{\"specversion\":\"1.0\",\"id\":\"" UUID "\",\"source\":\"s\",\"type\":\"A\"" members "}"

static const bad_case cloudevent_cases[] = {
    {"an array",            "[" CE("") "]",                     EX_EINVAL, "INVALID_INPUT", ""},
    {"no specversion",      "{\"id\":\"" UUID "\",\"source\":\"s\",\"type\":\"A\"}", EX_EINVAL, "INVALID_INPUT", "specversion"},
    {"other specversion",   "{\"specversion\":\"0.3\"}",        EX_EINVAL, "INVALID_INPUT", "specversion"},
    {"no id",               "{\"specversion\":\"1.0\",\"source\":\"s\",\"type\":\"A\"}", EX_EINVAL, "INVALID_INPUT", "id"},
    {"empty id",            "{\"specversion\":\"1.0\",\"id\":\"\"}", EX_EINVAL, "INVALID_INPUT", "id"},
    {"number as id",        "{\"specversion\":\"1.0\",\"id\":7}", EX_EINVAL, "INVALID_INPUT", "id"},
    {"control in the id",   "{\"specversion\":\"1.0\",\"id\":\"a\\u0000b\"}", EX_EINVAL, "INVALID_INPUT", "id"},
    {"source with a blank", "{\"source\":\"a b\"}",             EX_EINVAL, "INVALID_INPUT", "source"},
    {"source not encoded",  "{\"source\":\"/\xc3\xa9\"}",       EX_EINVAL, "INVALID_INPUT", "source"},
    {"source badly encoded", "{\"source\":\"/%e\"}",            EX_EINVAL, "INVALID_INPUT", "source"},
    {"source encoded with x", "{\"source\":\"/%zz\"}",          EX_EINVAL, "INVALID_INPUT", "source"},
    {"empty subject",       CE(",\"subject\":\"\""),            EX_EINVAL, "INVALID_INPUT", "subject"},
    {"number as subject",   CE(",\"subject\":1"),               EX_EINVAL, "INVALID_INPUT", "subject"},
    {"subject with C1",     CE(",\"subject\":\"a\\u0085\""),    EX_EINVAL, "INVALID_INPUT", "subject"},
    {"relative dataschema", CE(",\"dataschema\":\"/x\""),       EX_EINVAL, "INVALID_INPUT", "dataschema"},
    {"no source",           "{\"specversion\":\"1.0\",\"id\":\"" UUID "\",\"type\":\"A\"}", EX_EINVAL, "INVALID_INPUT", "source"},
    {"empty source",        "{\"source\":\"\"}",                EX_EINVAL, "INVALID_INPUT", "source"},
    {"null type",           "{\"specversion\":\"1.0\",\"id\":\"" UUID "\",\"source\":\"s\",\"type\":null}", EX_EINVAL, "INVALID_INPUT", "type"},
    {"bad time",            CE(",\"time\":\"yesterday\""),      EX_EINVAL, "INVALID_INPUT", "time"},
    {"upper case name",     CE(",\"myAttr\":1"),                EX_EINVAL, "UNKNOWN_FIELD", "myAttr"},
    {"extension object",    CE(",\"ext\":{}"),                  EX_EINVAL, "INVALID_INPUT", "ext"},
    {"extension fraction",  CE(",\"ext\":1.5"),                 EX_EINVAL, "INVALID_INPUT", "ext"},
    {"data twice",          CE(",\"data\":1,\"data_base64\":\"\""), EX_EINVAL, "INVALID_INPUT", "data"},
    {"text data no text",   CE(",\"datacontenttype\":\"text/plain\",\"data\":1"), EX_EINVAL, "INVALID_INPUT", "data"},
    {"metadata no JSON",    CE(",\"metadata\":\"{\""),          EX_EINVAL, "INVALID_INPUT", "metadata"},
    {"metadata key",        CE(",\"metadata\":\"{\\\"$correlation_id\\\":1}\""), EX_EINVAL, "INVALID_INPUT", "metadata.$correlation_id"},
};

static const bad_case streams_cases[] = {
    {"no writes",           "{}",                               EX_EINVAL, "INVALID_INPUT", "writes"},
    {"empty writes",        "{\"writes\":[]}",                  EX_EINVAL, "INVALID_INPUT", "writes"},
    {"only conditions",     "{\"writes\":[{\"stream\":\"a\",\"expected\":1}]}", EX_EINVAL, "INVALID_INPUT", "writes"},
    {"no stream",           "{\"writes\":[{\"events\":[]}]}",   EX_EINVAL, "INVALID_INPUT", "writes[0].stream"},
    {"stream no text",      "{\"writes\":[{\"stream\":1}]}",    EX_EINVAL, "INVALID_INPUT", "writes[0].stream"},
    {"deep path",           "{\"writes\":[{\"stream\":\"a\",\"events\":[{\"type\":\"A\",\"data\":1},{\"type\":2}]}]}", EX_EINVAL, "INVALID_INPUT", "writes[0].events[1].type"},
    {"unknown in write",    "{\"writes\":[{\"stream\":\"a\",\"condition\":{}}]}", EX_EINVAL, "UNKNOWN_FIELD", "writes[0].condition"},
};
/* clang-format on */

static void test_event_input_refuses_bad_stream_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(stream_cases); i++) {
        fixture f;
        check_bad(&stream_cases[i], read_stream(&f, APPEND_JSON, ex_str(stream_cases[i].body)), &f);
    }
}

static void test_event_input_refuses_bad_cloudevents(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cloudevent_cases); i++) {
        fixture f;
        check_bad(&cloudevent_cases[i],
                  read_stream(&f, APPEND_CLOUDEVENT, ex_str(cloudevent_cases[i].body)), &f);
    }
}

static void test_event_input_refuses_bad_streams_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(streams_cases); i++) {
        fixture f;
        check_bad(&streams_cases[i], read_streams(&f, ex_str(streams_cases[i].body)), &f);
    }
}

static void test_event_input_refuses_deep_nesting(void **state)
{
    (void)state;
    char body[4096] = "{\"events\":[{\"type\":\"A\",\"data\":";
    size_t n = strlen(body);
    memset(body + n, '[', 1000);
    fixture f;
    assert_int_equal(read_stream(&f, APPEND_JSON, ex_slice_of(body, n + 1000)), EX_EMALFORMED);
    assert_string_equal(f.err.code, "JSON_TOO_DEEP");
    ex_arena_done(&f.arena);
}

/* A body that would need more memory than a request may take is refused, whatever it says. */
static void test_event_input_is_bounded_by_its_arena(void **state)
{
    (void)state;
    size_t n = 0, room = 200000;
    char *body = malloc(room);
    n += (size_t)snprintf(body, room, "{\"events\":[{\"type\":\"A\",\"data\":[");
    while (n + 4 < room)
        body[n++] = '1', body[n++] = ',';
    memcpy(body + n, "1]}", 3);
    n += 3;
    fixture f;
    memset(&f, 0, sizeof(f));
    ex_arena_init(&f.arena, 64 << 10);
    ex_status st = append_input_stream(EX_S("s"), APPEND_JSON, ex_slice_of(body, n),
                                       (expected_input){0}, &f.arena, &f.in, &f.err);
    assert_true(st == EX_ETOOLARGE || st == EX_ENOMEM);
    ex_arena_done(&f.arena);
    free(body);
}

static ex_status read_everything(void *ctx)
{
    (void)ctx;
    fixture f;
    ex_status st = read_stream(
        &f, APPEND_CLOUDEVENT_BATCH,
        EX_S("[{\"specversion\":\"1.0\",\"id\":\"" UUID "\",\"source\":\"\\u0041\",\"type\":\"A\","
             "\"tags\":\"a:1,b:%2C\",\"metadata\":\"{\\\"k\\\":1}\",\"data_base64\":\"WzFd\"}]"));
    ex_arena_done(&f.arena);
    if (st)
        return st;
    st = read_streams(
        &f, EX_S("{\"writes\":[{\"stream\":\"\\u0041\",\"events\":[{\"type\":\"A\",\"data\":[1],"
                 "\"tags\":[\"a:1\"]}]}],\"condition\":{\"fail_if_match\":{\"items\":[{\"types\":["
                 "\"T\"]}]}}}"));
    ex_arena_done(&f.arena);
    return st;
}

/* Every allocation failing in turn is EX_ENOMEM and leaks nothing. */
static void test_event_input_survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(alloc_fault_torture("event input", read_everything, NULL) > 3);
}

/* ---- Headers ---- */

static void test_event_input_version_headers(void **state)
{
    static const struct {
        const char *match, *none_match;
        bool is_ok, is_given;
        uint64_t raw;
    } cases[] = {
        {NULL, NULL, true, false, 0},
        {"\"3\"", NULL, true, true, 5},
        {" \"0\" ", NULL, true, true, 2},
        {"*", NULL, true, true, 1},
        {NULL, "*", true, true, 2},
        {"3", NULL, false, false, 0},
        {"W/\"3\"", NULL, false, false, 0},
        {"\"3\", \"4\"", NULL, false, false, 0},
        {"\"\"", NULL, false, false, 0},
        {"\"-1\"", NULL, false, false, 0},
        {"\"9999999999999999999\"", NULL, false, false, 0},
        {"", NULL, false, false, 0},
        {NULL, "\"3\"", false, false, 0},
        {"*", "*", false, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        expected_input e = {0};
        ex_error err = {0};
        ex_status st =
            expected_from_headers(ex_str(cases[i].match), ex_str(cases[i].none_match), &e, &err);
        if ((st == EX_OK) != cases[i].is_ok || e.is_given != cases[i].is_given ||
            e.value.raw != cases[i].raw)
            fail_msg("If-Match %s If-None-Match %s", cases[i].match, cases[i].none_match);
        if (st && err.field[0] == '\0')
            fail_msg("If-Match %s: no field", cases[i].match);
    }
}

static void test_event_input_header_and_body_must_agree(void **state)
{
    static const struct {
        const char *expected;
        ex_status want;
    } cases[] = {{"3", EX_OK}, {"4", EX_EINVAL}, {"\"any\"", EX_EINVAL}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        fixture f = {0};
        char body[128];
        expected_input header = {.is_given = true, .value = EX_EXACT(3)};
        int n = snprintf(body, sizeof(body),
                         "{\"events\":[{\"type\":\"A\",\"data\":1}],\"expected\":%s}",
                         cases[i].expected);
        ex_arena_init(&f.arena, 0);
        assert_int_equal(append_input_stream(EX_S("s"), APPEND_JSON, ex_slice_of(body, (size_t)n),
                                             header, &f.arena, &f.in, &f.err),
                         cases[i].want);
        if (cases[i].want)
            assert_string_equal(f.err.field, "expected");
        ex_arena_done(&f.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_input_reads_every_field),
        cmocka_unit_test(test_event_input_expected_words),
        cmocka_unit_test(test_event_input_several_streams),
        cmocka_unit_test(test_event_input_correlates),
        cmocka_unit_test(test_event_input_cloudevent),
        cmocka_unit_test(test_event_input_cloudevent_data_forms),
        cmocka_unit_test(test_event_input_refuses_bad_stream_bodies),
        cmocka_unit_test(test_event_input_refuses_bad_cloudevents),
        cmocka_unit_test(test_event_input_refuses_bad_streams_bodies),
        cmocka_unit_test(test_event_input_refuses_deep_nesting),
        cmocka_unit_test(test_event_input_is_bounded_by_its_arena),
        cmocka_unit_test(test_event_input_survives_failing_allocations),
        cmocka_unit_test(test_event_input_version_headers),
        cmocka_unit_test(test_event_input_header_and_body_must_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
