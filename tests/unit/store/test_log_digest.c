/* test_log_digest.c: the canonical form is what log_digest.h says, and every field counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/log_digest.h"

static ex_event first_event(void)
{
    ex_event e = {.position = 1,
                  .version = 1,
                  .stream = EX_S("a"),
                  .type = EX_S("T"),
                  .schema_version = 1,
                  .content_type = EX_S("application/json"),
                  .data = EX_S("{}"),
                  .metadata = EX_S("{}"),
                  .recorded_at_us = 1};
    memset(e.id.bytes, 1, sizeof(e.id.bytes));
    return e;
}

static ex_event second_event(void)
{
    ex_event e = {.position = 2,
                  .version = 7,
                  .stream = EX_S("order-1"),
                  .type = EX_S("Placed"),
                  .schema_version = 3,
                  .content_type = EX_S("text/plain"),
                  .data = EX_S("x"),
                  .metadata = EX_S("{\"k\":1}"),
                  .tags.packed = EX_S("\x03k:v\x03"
                                      "a:b"),
                  .correlation_id = EX_S("cor"),
                  .causation_id = EX_S("cau"),
                  .recorded_at_us = -2};
    memset(e.id.bytes, 2, sizeof(e.id.bytes));
    e.id.form = EX_ID_ULID;
    return e;
}

/* Of the first event and this one. */
static ex_log_digest digest_of(const ex_event *second)
{
    ex_log_digest d;
    ex_event first = first_event();
    assert_int_equal(ex_log_digest_init(&d, NULL), EX_OK);
    assert_int_equal(ex_log_digest_add(&d, &first, NULL), EX_OK);
    if (second)
        assert_int_equal(ex_log_digest_add(&d, second, NULL), EX_OK);
    return d;
}

static void assert_text(const ex_log_digest *d, const char *want)
{
    char text[LOG_DIGEST_TEXT_SIZE];
    assert_int_equal(ex_log_digest_text(d, text).len, 64);
    assert_string_equal(text, want);
}

/* The wanted values were computed with printf and sha256sum from the table in log_digest.h. */
static void test_log_digest_has_the_documented_form(void **state)
{
    (void)state;
    ex_event second = second_event();
    ex_log_digest none, one = digest_of(NULL), two = digest_of(&second);
    assert_int_equal(ex_log_digest_init(&none, NULL), EX_OK);
    assert_text(&none, "0000000000000000000000000000000000000000000000000000000000000000");
    assert_text(&one, "f405897bb802907c14e161d220501542ffdcf45dbefcf4c7cb394d4f1bc0ec4a");
    assert_text(&two, "5a31d64386cb0e8896eeb3fcbf1daa7982b93a2efb5df2bf71ea983d2488be66");
    assert_int_equal(two.position, 2);
    ex_log_digest_done(&none);
    ex_log_digest_done(&one);
    ex_log_digest_done(&two);
}

static void test_log_digest_counts_every_field(void **state)
{
    (void)state;
    ex_event right = second_event(), wrong[13];
    for (int i = 0; i < 13; i++)
        wrong[i] = right;
    wrong[0].version = 8;
    wrong[1].recorded_at_us = -1;
    wrong[2].schema_version = 4;
    wrong[3].id.form = EX_ID_UUID;
    wrong[4].id.bytes[15] = 3;
    wrong[5].stream = EX_S("order-2");
    wrong[6].type = EX_S("Paid");
    wrong[7].content_type = EX_S("text/html");
    wrong[8].correlation_id = EX_S("co");
    wrong[8].causation_id = EX_S("rcau"); /* the same bytes, cut at another place */
    wrong[9].causation_id = EX_S("");
    wrong[10].tags.packed = EX_S("\x03"
                                 "a:b\x03k:v");
    wrong[11].metadata = EX_S("{\"k\": 1}");
    wrong[12].data = EX_S("");
    ex_log_digest d = digest_of(&right);
    for (int i = 0; i < 13; i++) {
        ex_log_digest other = digest_of(&wrong[i]);
        if (ex_log_digest_eq(&d, &other))
            fail_msg("field %d does not count", i);
        ex_log_digest_done(&other);
    }
    ex_log_digest_done(&d);
}

static void test_log_digest_refuses_another_event_than_the_next(void **state)
{
    (void)state;
    ex_event second = second_event();
    ex_log_digest d, two = digest_of(&second);
    ex_error err = {0};
    assert_int_equal(ex_log_digest_init(&d, NULL), EX_OK);
    assert_int_equal(ex_log_digest_add(&d, &second, &err), EX_ECORRUPT);
    assert_string_equal(err.message, "event 2 follows event 0 in the log");
    assert_int_equal(d.position, 0);
    assert_int_equal(ex_log_digest_add(&two, &second, NULL), EX_ECORRUPT);
    ex_log_digest_done(&d);
    ex_log_digest_done(&two);
    ex_log_digest_done(&(ex_log_digest){0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_digest_has_the_documented_form),
        cmocka_unit_test(test_log_digest_counts_every_field),
        cmocka_unit_test(test_log_digest_refuses_another_event_than_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
