/* store_idempotency.c: the same event id again. R-ES-04 to R-ES-08, R-ED-03. */
#include "conformance/store_suite.h"

#include <string.h>

/* G-007 */
static void test_idempotency_same_content_gives_the_first_outcome(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    ex_new_event event = EVENT("T", "{\"b\":2,\"a\":1}", .id = suite_id(1));
    ex_event_ref ref;
    ex_appended first = {0}, again = {.events = &ref, .event_room = 1};
    assert_int_equal(suite_append(s, "a", EX_EXACT(2), &event, 1, &first, NULL), EX_OK);
    assert_false(first.is_duplicate);
    suite_fill(s, "a", 3);
    /* R-ES-05: the id goes before the version */
    assert_int_equal(suite_append(s, "a", EX_EXACT(2), &event, 1, &again, NULL), EX_OK);
    assert_true(again.is_duplicate);
    assert_int_equal(again.position, first.position);
    assert_int_equal(again.version, first.version);
    assert_int_equal(ref.position, 3);
    assert_true(ex_id_eq(&ref.id, &event.id));
    assert_int_equal(ex_store_head(s->store), 6);
}

static void test_idempotency_compares_content(void **state)
{
    suite *s = *state;
    static const ex_slice tags[] = {EX_S_INIT("k:v")};
    const ex_id id = suite_id(1);
    suite_put(s, "a", &EVENT("T", "{\"b\":2,\"a\":1.0}", .id = id, .metadata = EX_S("{\"m\":1}")));
    const struct {
        const char *name;
        ex_new_event event;
        bool is_same;
    } cases[] = {
        {"the same bytes", EVENT("T", "{\"b\":2,\"a\":1.0}", .id = id), true},
        {"keys in another order, blanks", EVENT("T", " { \"a\" : 1, \"b\":2}", .id = id), true},
        {"schema version given as 1",
         EVENT("T", "{\"b\":2,\"a\":1}", .id = id, .schema_version = 1), true},
        {"metadata is not content",
         EVENT("T", "{\"b\":2,\"a\":1}", .id = id, .metadata = EX_S("{}")), true},
        {"tags are not content",
         EVENT("T", "{\"b\":2,\"a\":1}", .id = id, .tags = tags, .tag_count = 1), true},
        {"another value", EVENT("T", "{\"b\":3,\"a\":1}", .id = id), false},
        {"another type", EVENT("U", "{\"b\":2,\"a\":1}", .id = id), false},
        {"another schema version", EVENT("T", "{\"b\":2,\"a\":1}", .id = id, .schema_version = 2),
         false},
        {"another content type",
         EVENT("T", "{\"b\":2,\"a\":1}", .id = id, .content_type = EX_S("text/plain")), false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err = {0};
        ex_appended out = {0};
        ex_status st = suite_append(s, "a", EX_NO_STREAM, &cases[i].event, 1, &out, &err);
        if (st != (cases[i].is_same ? EX_OK : EX_EIDEMPOTENCY))
            fail_msg("%s: %s", cases[i].name, ex_status_code(st));
        if (st == EX_OK) {
            assert_true(out.is_duplicate);
        } else {
            assert_string_equal(err.code, "IDEMPOTENCY_CONFLICT");
            assert_int_equal(err.position, 1);
            assert_int_equal(err.current, 1);
            char text[EX_ID_TEXT_SIZE];
            assert_string_equal(err.event_id, ex_id_text(&id, text).ptr); /* R-ES-04 */
            assert_int_equal(err.audit_id != 0, !suite_forgets(s));
        }
        assert_int_equal(ex_store_head(s->store), 1);
    }
}

/* G-306 (issue 8, item 6): numbers by their decimal value, of every JSON content type */
static void test_idempotency_compares_json_by_value(void **state)
{
    suite *s = *state;
    static const char *const types[] = {"application/json", "application/json; charset=utf-8",
                                        "Application/JSON", "application/vnd.x+json", "text/json"};
    static const struct {
        const char *stored, *again;
        bool is_same;
    } cases[] = {
        {"{\"a\":1,\"b\":2}", "{\"b\":2.0, \"a\":10e-1}", true},
        {"1", "1.0", true},
        {"1.0", "10e-1", true},
        {"-0", "0e9", true},
        {"9007199254740992", "9007199254740993", false},
        {"9007199254740992.0", "9007199254740993.0", false},
        {"9007199254740993.0", "9007199254740993", true},
        {"100000000000000000001", "100000000000000000000", false},
        {"0.1", "0.10000000000000000001", false},
        {"1e-400", "0", false},
        {"1e-99999999999999999999", "1.0e-99999999999999999999", true},
        {"1e-99999999999999999999", "10e-100000000000000000000", true},
        {"1e-99999999999999999999", "1e-99999999999999999998", false},
        {"1e-1000000000000000", "1e-1000000000000001", false},
        {"1e-99999999999999999999", "0", false},
    };
    enum { CASES = sizeof(cases) / sizeof(cases[0]), TYPES = sizeof(types) / sizeof(types[0]) };
    for (size_t i = 0; i < CASES * TYPES; i++) {
        size_t n = i / TYPES;
        ex_new_event event = EVENT("T", "", .id = suite_id((uint8_t)(i + 1)));
        event.content_type = ex_str(types[i % TYPES]);
        event.data = ex_str(cases[n].stored);
        suite_put(s, "a", &event);
        event.data = ex_str(cases[n].again);
        ex_appended out = {0};
        ex_status st = suite_append(s, "a", EX_ANY, &event, 1, &out, NULL);
        if (st != (cases[n].is_same ? EX_OK : EX_EIDEMPOTENCY) || out.is_duplicate == (st != EX_OK))
            fail_msg("%s: %s, then %s: %s", types[i % TYPES], cases[n].stored, cases[n].again,
                     ex_status_code(st));
    }
    assert_int_equal(ex_store_head(s->store), CASES * TYPES);
}

/* issue 8, item 6: either case and blanks name the same content type */
static void test_idempotency_compares_content_types_as_names(void **state)
{
    suite *s = *state;
    ex_new_event event = EVENT("T", "{\"a\":1}", .id = suite_id(1));
    event.content_type = EX_S("application/json;charset=utf-8");
    suite_put(s, "a", &event);
    event.content_type = EX_S("Application/JSON; Charset=UTF-8");
    suite_put(s, "a", &event);
    assert_int_equal(ex_store_head(s->store), 1);
    event.content_type = EX_S("application/vnd.x+json");
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, NULL), EX_EIDEMPOTENCY);
}

static void test_idempotency_is_per_stream(void **state)
{
    suite *s = *state;
    ex_new_event event = EVENT("T", "{}", .id = suite_id(1));
    suite_put(s, "a", &event);
    suite_put(s, "b", &event);
    assert_int_equal(ex_store_head(s->store), 2);
    suite_put(s, "b", &event);
    assert_int_equal(ex_store_head(s->store), 2);
}

static void test_idempotency_keeps_the_form_of_an_id(void **state)
{
    suite *s = *state;
    ex_id ulid;
    assert_int_equal(ex_id_parse(EX_S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &ulid, NULL), EX_OK);
    suite_put(s, "a", &EVENT("T", "{}", .id = ulid));
    suite_put(s, "a", &EVENT("T", "{}", .id = ulid));
    assert_int_equal(ex_store_head(s->store), 1);
    ex_cursor *c = NULL;
    ex_event e;
    char text[EX_ID_TEXT_SIZE];
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &c, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
    assert_true(ex_slice_is(ex_id_text(&e.id, text), "01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    ex_cursor_close(c);
}

/* R-ES-08: known in part is a conflict, and nothing is written */
static void test_idempotency_known_in_part_is_refused(void **state)
{
    suite *s = *state;
    ex_new_event events[] = {EVENT("T", "{}", .id = suite_id(1)),
                             EVENT("T", "{}", .id = suite_id(2)), EVENT("T", "{}")};
    suite_put(s, "a", &events[0]);
    for (uint32_t count = 2; count <= 3; count++) {
        ex_error err = {0};
        assert_int_equal(suite_append(s, "a", EX_ANY, events, count, NULL, &err), EX_EIDEMPOTENCY);
        assert_string_equal(err.code, "PARTIAL_DUPLICATE_BATCH");
        /* issue 8, item 6: a retry cannot know ids that were made here, and is told so */
        assert_int_equal(strstr(err.message, "1 came without an id") != NULL, count == 3);
        assert_int_equal(strstr(err.message, "a retry names all ids") != NULL, count == 3);
    }
    assert_int_equal(ex_store_head(s->store), 1);
    suite_put(s, "a", &events[1]);
    ex_event_ref refs[2];
    ex_appended out = {.events = refs, .event_room = 2};
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 2, &out, NULL), EX_OK);
    assert_true(out.is_duplicate);
    assert_int_equal(refs[0].position, 1);
    assert_int_equal(refs[1].position, 2);
}

static void test_idempotency_over_several_streams(void **state)
{
    suite *s = *state;
    ex_new_event one = EVENT("T", "{}", .id = suite_id(1)),
                 two = EVENT("U", "{}", .id = suite_id(1));
    ex_stream_write writes[] = {{EX_S("a"), EX_NO_STREAM, &one, 1},
                                {EX_S("b"), EX_NO_STREAM, &two, 1}};
    ex_append append = {.writes = writes, .write_count = 2};
    ex_appended out = {0};
    assert_int_equal(ex_store_append(s->store, &append, &out, NULL), EX_OK);
    assert_false(out.is_duplicate);
    assert_int_equal(ex_store_append(s->store, &append, &out, NULL), EX_OK);
    assert_true(out.is_duplicate);
    assert_int_equal(out.position, 2);
    ex_new_event other = EVENT("V", "{}", .id = suite_id(1));
    writes[1].events = &other;
    ex_error err = {0};
    assert_int_equal(ex_store_append(s->store, &append, NULL, &err), EX_EIDEMPOTENCY);
    assert_int_equal(err.position, 2);
}

static void test_idempotency_same_id_twice_in_one_append_is_refused(void **state)
{
    suite *s = *state;
    ex_new_event events[] = {EVENT("T", "{}", .id = suite_id(1)),
                             EVENT("T", "{}", .id = suite_id(1))};
    ex_error err = {0};
    assert_int_equal(suite_append(s, "a", EX_ANY, events, 2, NULL, &err), EX_EINVAL);
    assert_string_equal(err.code, "DUPLICATE_EVENT_ID");
    assert_int_equal(ex_store_head(s->store), 0);
}

static void test_idempotency_of_bytes_compares_bytes(void **state)
{
    suite *s = *state;
    const ex_slice type = EX_S("application/octet-stream");
    suite_put(s, "a", &EVENT("T", "{\"a\":1}", .id = suite_id(1), .content_type = type));
    suite_put(s, "a", &EVENT("T", "{\"a\":1}", .id = suite_id(1), .content_type = type));
    ex_new_event spaced = EVENT("T", "{\"a\": 1}", .id = suite_id(1), .content_type = type);
    assert_int_equal(suite_append(s, "a", EX_ANY, &spaced, 1, NULL, NULL), EX_EIDEMPOTENCY);
}

int store_idempotency_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_idempotency_same_content_gives_the_first_outcome),
        STORE_TEST(test_idempotency_compares_content),
        STORE_TEST(test_idempotency_compares_json_by_value),
        STORE_TEST(test_idempotency_compares_content_types_as_names),
        STORE_TEST(test_idempotency_is_per_stream),
        STORE_TEST(test_idempotency_keeps_the_form_of_an_id),
        STORE_TEST(test_idempotency_known_in_part_is_refused),
        STORE_TEST(test_idempotency_over_several_streams),
        STORE_TEST(test_idempotency_same_id_twice_in_one_append_is_refused),
        STORE_TEST(test_idempotency_of_bytes_compares_bytes),
    };
    return cmocka_run_group_tests_name("store idempotency", tests, NULL, NULL);
}
