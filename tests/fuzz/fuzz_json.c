/* fuzz_json.c: the JSON reader: parse and validate agree, the canonical form is a fixed point,
 * values point into the text, and jansson reads the same. */
#include "fuzz/fuzz.h"

#include "support/json_oracle.h"

#include <excore/json.h>

static void check_places(const ex_json *v, ex_slice outer)
{
    FUZZ_CHECK(v->raw.len > 0 && v->raw.ptr >= outer.ptr &&
               v->raw.ptr + v->raw.len <= outer.ptr + outer.len);
    if (v->kind == EX_JSON_STRING)
        FUZZ_CHECK(ex_utf8_is_valid(v->as.text));
    for (uint32_t i = 0; v->kind == EX_JSON_ARRAY && i < v->count; i++)
        check_places(&v->as.items[i], v->raw);
    for (uint32_t i = 0; v->kind == EX_JSON_OBJECT && i < v->count; i++) {
        const ex_json_member *m = &v->as.members[i];
        FUZZ_CHECK(ex_utf8_is_valid(m->key));
        FUZZ_CHECK(ex_json_get(v, m->key) == &m->value);
        check_places(&m->value, v->raw);
    }
}

static void check_canonical(const ex_json *v, ex_arena *arena)
{
    ex_buf first, second;
    ex_json again;
    ex_buf_init(&first, 0);
    ex_buf_init(&second, 0);
    FUZZ_CHECK(ex_json_canonical(v, arena, &first) == EX_OK);
    FUZZ_CHECK(ex_json_parse(ex_buf_slice(&first), arena, NULL, &again, NULL) == EX_OK);
    FUZZ_CHECK(ex_json_canonical(&again, arena, &second) == EX_OK);
    FUZZ_CHECK(ex_slice_eq(ex_buf_slice(&first), ex_buf_slice(&second)));
    ex_buf_done(&first);
    ex_buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ex_slice text = ex_slice_of(data, size);
    ex_arena arena;
    ex_json v;
    ex_error parse_err = {0}, validate_err = {0};
    ex_arena_init(&arena, 0);
    ex_status st = ex_json_parse(text, &arena, NULL, &v, &parse_err);
    FUZZ_CHECK(ex_json_validate(text, &arena, NULL, &validate_err) == st);
    FUZZ_CHECK(strcmp(parse_err.message, validate_err.message) == 0);
    if (st == EX_OK) {
        FUZZ_CHECK(ex_utf8_is_valid(text));
        check_places(&v, text);
        check_canonical(&v, &arena);
    }
    const char *difference = json_oracle_compare(text);
    if (difference)
        fprintf(stderr, "%s\n", difference);
    FUZZ_CHECK(!difference);
    ex_arena_done(&arena);
    return 0;
}
