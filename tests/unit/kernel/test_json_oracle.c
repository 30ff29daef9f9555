/* JSON against jansson on random and mutated documents. EXCORE_SEED repeats a run. */
#include "support/json_oracle.h"

#include <excore/json.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static unsigned seed;

static unsigned pick(unsigned below)
{
    return (unsigned)rand_r(&seed) % below;
}

static const char *any_of(const char *const *list, unsigned count)
{
    return list[pick(count)];
}

#define ANY(list) any_of(list, sizeof(list) / sizeof((list)[0]))

static void put_string(ex_buf *b)
{
    static const char *const parts[] = {"a",
                                        "key",
                                        "\xC3\xA9",
                                        "\xF0\x9F\x98\x80",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\/",
                                        "\\u0041",
                                        "\\u00e9",
                                        "\\uD83D\\uDE00",
                                        "\\u0000",
                                        "0123456789abcdef",
                                        " ",
                                        "\\b\\f\\r\\t"};
    ex_buf_put_char(b, '"');
    for (unsigned n = pick(4); n > 0; n--)
        ex_buf_put_str(b, ANY(parts));
    ex_buf_put_char(b, '"');
}

static void put_number(ex_buf *b)
{
    static const char *const odd[] = {"0",
                                      "-0",
                                      "-0.0",
                                      "1e5",
                                      "1E-5",
                                      "0.1",
                                      "1e400",
                                      "1e-400",
                                      "9223372036854775807",
                                      "9223372036854775808",
                                      "-9223372036854775808",
                                      "-9223372036854775809",
                                      "18446744073709551616",
                                      "2.2250738585072011e-308",
                                      "5e-324"};
    switch (pick(4)) {
    case 0:
        ex_buf_put_str(b, ANY(odd));
        break;
    case 1:
        ex_buf_printf(b, "%d", (int)pick(2000000) - 1000000);
        break;
    case 2:
        ex_buf_printf(b, "%d.%0*d", (int)pick(100000) - 50000, (int)pick(20) + 1, (int)pick(1000));
        break;
    default:
        ex_buf_printf(b, "%u%ue%d", pick(1u << 30) + 1, pick(1u << 30), (int)pick(640) - 330);
    }
}

static void put_blank(ex_buf *b)
{
    static const char *const blanks[] = {"", "", "", " ", "\n", "\t\r "};
    ex_buf_put_str(b, ANY(blanks));
}

static void put_value(ex_buf *b, unsigned depth)
{
    static const char *const words[] = {"null", "true", "false"};
    unsigned kind = pick(depth < 6 ? 6 : 3);
    put_blank(b);
    if (kind == 0)
        ex_buf_put_str(b, ANY(words));
    else if (kind == 1)
        put_string(b);
    else if (kind == 2)
        put_number(b);
    else {
        bool is_object = kind != 3;
        unsigned count = pick(20) ? pick(6) : pick(60);
        ex_buf_put_char(b, is_object ? '{' : '[');
        for (unsigned i = 0; i < count; i++) {
            if (i)
                ex_buf_put_char(b, ',');
            put_blank(b);
            if (is_object) {
                if (pick(30)) /* mostly distinct keys */
                    ex_buf_printf(b, "\"k%u%s\"", i, pick(8) ? "" : "\\u0020");
                else
                    put_string(b);
                put_blank(b);
                ex_buf_put_char(b, ':');
            }
            put_value(b, depth + 1);
        }
        ex_buf_put_char(b, is_object ? '}' : ']');
    }
    put_blank(b);
}

static void mutate(ex_buf *b)
{
    static const char bytes[] =
        "{}[]:,\"\\/u0123456789eE+-. \n\ttrfalsn\x01\x1f\x7f\x80\xC3\xED\xF4\xFF";
    if (b->len == 0)
        return;
    size_t at = pick((unsigned)b->len);
    switch (pick(4)) {
    case 0:
        b->ptr[at] = bytes[pick(sizeof(bytes))]; /* the NUL too */
        break;
    case 1:
        b->len = at;
        break;
    case 2:
        memmove(b->ptr + at, b->ptr + at + 1, b->len - at - 1);
        b->len--;
        break;
    default: { /* a piece twice: duplicate keys, odd nesting */
        size_t piece = pick(20) + 1;
        piece = piece < b->len - at ? piece : b->len - at;
        if (ex_buf_reserve(b, piece)) {
            memmove(b->ptr + at + piece, b->ptr + at, b->len - at);
            b->len += piece;
        }
    }
    }
}

static void check(const ex_buf *b)
{
    char *copy = malloc(b->len ? b->len : 1);
    assert_non_null(copy);
    if (b->len)
        memcpy(copy, b->ptr, b->len);
    const char *difference = json_oracle_compare(ex_slice_of(copy, b->len));
    if (difference)
        fail_msg("%s: %.*s", difference, (int)b->len, copy);
    free(copy);
}

static void test_json_agrees_with_jansson_on_random_documents(void **state)
{
    (void)state;
    const char *given = getenv("EXCORE_SEED");
    seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    print_message("EXCORE_SEED=%u\n", seed);
    ex_buf b;
    ex_buf_init(&b, 0);
    for (int i = 0; i < 6000; i++) {
        ex_buf_reset(&b);
        put_value(&b, 0);
        assert_int_equal(ex_buf_status(&b), EX_OK);
        check(&b);
        for (int k = 0; k < 4 && b.len < 4000; k++) {
            mutate(&b);
            check(&b);
        }
    }
    ex_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_agrees_with_jansson_on_random_documents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
