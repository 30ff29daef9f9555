/* command_input.h: what comes in with a command: its target's id and its payload. The runtime and
 * the scenario kit check both here. */
#ifndef EXCORE_RUNTIME_COMMAND_INPUT_H
#define EXCORE_RUNTIME_COMMAND_INPUT_H

#include <excore/aggregate.h>

/** The {id} part of the aggregate's stream. @return EX_OK, EX_EINVAL */
EX_NODISCARD ex_status command_check_id(ex_slice id, ex_error *err);
/** The command's struct, in the arena. Its EX_KEY field is the id when the payload lacks it, and
 *  must be the id when it does not. @return EX_OK, EX_EINVAL, EX_ENOMEM */
EX_NODISCARD ex_status command_read(const ex_type *type, const ex_json *payload, ex_slice id,
                                    ex_arena *arena, const void **ret, ex_error *err);

#endif
