/* log_copy_known.h: which command ids a store holds, as digests in memory: 16 bytes for each.
 *
 * A copy that goes on must not write a record twice, and asking the target for
 * each one would cost a round trip each. */
#ifndef EXCORE_STORE_LOG_COPY_KNOWN_H
#define EXCORE_STORE_LOG_COPY_KNOWN_H

#include <excore/store.h>

typedef struct known_command {
    uint8_t digest[16];
} known_command;

/** A zeroed one is empty. */
typedef struct known_commands {
    known_command *items; /* sorted */
    size_t count;
    size_t room;
} known_commands;

void known_commands_done(known_commands *k);
/** Read all of a store's command ids. @return EX_OK, EX_ENOMEM, or a failure to read */
EX_NODISCARD ex_status known_commands_load(known_commands *k, ex_store *store, ex_error *err);
EX_NODISCARD ex_status known_commands_has(const known_commands *k, ex_slice command_id, bool *ret,
                                          ex_error *err);

#endif
