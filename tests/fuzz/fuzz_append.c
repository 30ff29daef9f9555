/* fuzz_append.c: bodies of appends. The first byte picks the form. What is accepted is written out
 * in both forms of an event: each must be JSON again, and the CloudEvent must be accepted again
 * with the same type, data and tags. */
#include "fuzz/fuzz.h"

#include "api/event_json.h"
#include "api/rest/event_input.h"

#include <excore/json.h>

/* As the store would keep it; false for what the store would refuse. */
static bool store_event(const ex_new_event *given, char tags[EX_TAGS_MAX * (EX_TAG_MAX + 1)],
                        ex_event *e)
{
    size_t len = 0;
    if (given->tag_count > EX_TAGS_MAX || given->type.len == 0 ||
        given->type.len > EX_TYPE_NAME_MAX || given->content_type.len > EX_TYPE_NAME_MAX)
        return false;
    for (uint32_t i = 0; i < given->tag_count; i++) {
        ex_slice tag = given->tags[i];
        if (tag.len == 0 || tag.len > EX_TAG_MAX)
            return false;
        tags[len++] = (char)(unsigned char)tag.len;
        memcpy(tags + len, tag.ptr, tag.len);
        len += tag.len;
    }
    *e = (ex_event){.position = 1,
                    .version = 1,
                    .stream = EX_S("s"),
                    .type = given->type,
                    .id = given->id,
                    .schema_version = given->schema_version ? given->schema_version : 1,
                    .content_type =
                        given->content_type.len ? given->content_type : EX_S("application/json"),
                    .data = given->data,
                    .metadata = given->metadata.len ? given->metadata : EX_S("{}"),
                    .tags = {ex_slice_of(tags, len)}};
    return true;
}

static void check_plain(const ex_event *e, ex_arena *arena)
{
    ex_buf out;
    ex_json tree;
    ex_buf_init(&out, 0);
    event_json_put(&out, e, EVENT_PLAIN);
    FUZZ_CHECK(ex_buf_status(&out) == EX_OK);
    ex_json_options deeper = {.max_depth = 80}; /* the event's own braces come on top */
    FUZZ_CHECK(ex_json_parse(ex_buf_slice(&out), arena, &deeper, &tree, NULL) == EX_OK);
    FUZZ_CHECK(ex_slice_eq(ex_json_get(&tree, EX_S("type"))->as.text, e->type));
    ex_buf_done(&out);
}

static void check_cloudevent(const ex_event *e, ex_arena *arena)
{
    ex_buf out;
    append_input again;
    ex_error err = {0};
    ex_buf_init(&out, 0);
    event_json_put(&out, e, EVENT_CLOUDEVENT);
    FUZZ_CHECK(ex_buf_status(&out) == EX_OK);
    ex_status st = append_input_stream(EX_S("s"), APPEND_CLOUDEVENT, ex_buf_slice(&out),
                                       (expected_input){0}, arena, &again, &err);
    if (st == EX_OK) {
        const ex_new_event *n = &again.append.writes[0].events[0];
        char tags[EX_TAGS_MAX * (EX_TAG_MAX + 1)];
        ex_event back;
        FUZZ_CHECK(store_event(n, tags, &back));
        FUZZ_CHECK(ex_slice_eq(back.type, e->type) && ex_slice_eq(back.data, e->data));
        FUZZ_CHECK(ex_slice_eq(back.tags.packed, e->tags.packed));
    } else { /* one level deeper than it came in, or an id that the store would have made */
        FUZZ_CHECK(strcmp(err.code, "JSON_TOO_DEEP") == 0 || strcmp(err.field, "id") == 0 ||
                   st == EX_ETOOLARGE);
    }
    ex_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ex_arena arena;
    append_input in;
    ex_error err = {0};
    if (size == 0)
        return 0;
    ex_slice body = ex_slice_of(data + 1, size - 1);
    ex_arena_init(&arena, 16u << 20);
    ex_status st = data[0] % 4 == 3
                       ? append_input_streams(body, &arena, &in, &err)
                       : append_input_stream(EX_S("s"), (append_body)(data[0] % 4), body,
                                             (expected_input){0}, &arena, &in, &err);
    FUZZ_CHECK(st == EX_OK || (err.status == st && err.code[0] && err.message[0]));
    for (uint32_t w = 0; !st && w < in.append.write_count; w++)
        for (uint32_t i = 0; i < in.append.writes[w].event_count; i++) {
            char tags[EX_TAGS_MAX * (EX_TAG_MAX + 1)];
            ex_event e;
            if (!store_event(&in.append.writes[w].events[i], tags, &e))
                continue;
            check_plain(&e, &arena);
            check_cloudevent(&e, &arena);
        }
    ex_arena_done(&arena);
    return 0;
}
