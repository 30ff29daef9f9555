/* expected_input.h: what a request says about the version that it expects: "expected" of a body
 * ("any", "no_stream", "exists" or N), If-Match and If-None-Match. */
#ifndef EXCORE_API_REST_EXPECTED_INPUT_H
#define EXCORE_API_REST_EXPECTED_INPUT_H

#include <excore/arena.h>
#include <excore/event.h>
#include <excore/json.h>

typedef struct expected_input {
    bool is_given;
    ex_expected value;
} expected_input;

/** The member of a body; a field_read_fn into an expected_input. */
EX_NODISCARD ex_status expected_read(const ex_json *value, ex_arena *arena, void *into,
                                     ex_error *err);
/** If-Match: "3" (that version) or * (exists); If-None-Match: * (no stream). Both, a weak tag or a
 *  list is refused. */
EX_NODISCARD ex_status expected_from_headers(ex_slice if_match, ex_slice if_none_match,
                                             expected_input *ret, ex_error *err);
/** Both may be given when they say the same. */
EX_NODISCARD ex_status expected_merge(expected_input header, expected_input body, ex_expected *ret,
                                      ex_error *err);

#endif
