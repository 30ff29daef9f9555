/* json_fields.h: reading a JSON body by a table of members, with the path of a fault.
 *
 * A reader of a value raises without naming a field; every object and array on
 * the way out puts its member or index before it, so the error ends up with a
 * path such as "events[2].tags[0]". */
#ifndef EXCORE_API_REST_JSON_FIELDS_H
#define EXCORE_API_REST_JSON_FIELDS_H

#include <excore/arena.h>
#include <excore/error.h>
#include <excore/json.h>

/** Reads one value into `into`; what must outlive the call lies in `arena` or the body. */
typedef ex_status field_read_fn(const ex_json *value, ex_arena *arena, void *into, ex_error *err);

typedef struct field_rule {
    const char *name;
    bool is_required;
    field_read_fn *read;
} field_rule;

/** Read each member with its rule. Unknown members are refused (code UNKNOWN_FIELD), required ones
 *  must be there. At most 32 rules. @return EX_EINVAL with the path in err's field, or a reader's
 * status */
EX_NODISCARD ex_status field_read_object(const ex_json *value, const field_rule *rules,
                                         size_t count, ex_arena *arena, void *into, ex_error *err);

/** Read each item into an array of `item_bytes` each, cleared, from the arena. */
EX_NODISCARD ex_status field_read_array(const ex_json *value, field_read_fn *read,
                                        size_t item_bytes, ex_arena *arena, void **ret,
                                        uint32_t *ret_count, ex_error *err);

EX_NODISCARD ex_status field_read_string(const ex_json *value, ex_slice *ret, ex_error *err);
/** An integer from `low` to `high`; no fraction, no text. */
EX_NODISCARD ex_status field_read_u64(const ex_json *value, uint64_t low, uint64_t high,
                                      uint64_t *ret, ex_error *err);
/** An array of strings. */
EX_NODISCARD ex_status field_read_strings(const ex_json *value, ex_arena *arena,
                                          const ex_slice **ret, uint32_t *ret_count, ex_error *err);

/** Put `name` before the path of a raised error. */
void field_prefix(ex_error *err, ex_slice name);

/** A raised EX_ENOMEM for an arena that gave NULL. */
EX_NODISCARD static inline ex_status field_no_memory(ex_error *err)
{
    return ex_raise(err, EX_ENOMEM, "the request needs more memory than one request may take");
}

#endif
