/* command_input.c: see command_input.h. */
#include "runtime/command_input.h"

#define TARGET_ID_MAX 200

ex_status command_check_id(ex_slice id, ex_error *err)
{
    bool is_clean = id.len >= 1 && id.len <= TARGET_ID_MAX && ex_utf8_is_valid(id);
    for (size_t i = 0; i < id.len && is_clean; i++)
        is_clean = (unsigned char)id.ptr[i] >= 0x20 && id.ptr[i] != 0x7f;
    if (is_clean && !ex_slice_is(id, ".") && !ex_slice_is(id, "..")) /* no URL leads to these */
        return EX_OK;
    (void)ex_raise(err, EX_EINVAL,
                   "the id must be 1 to %d bytes of UTF-8 without control characters, not . or ..",
                   TARGET_ID_MAX);
    ex_error_set_field(err, EX_S("id"));
    return EX_EINVAL;
}

ex_status command_read(const ex_type *type, const ex_json *payload, ex_slice id, ex_arena *arena,
                       const void **ret, ex_error *err)
{
    ex_read_options options = {.key = id};
    void *value = ex_arena_zalloc(arena, type->size);
    *ret = value;
    return value ? ex_type_read_json(type, payload, arena, &options, value, err)
                 : ex_raise(err, EX_ENOMEM, "no memory for the command");
}
