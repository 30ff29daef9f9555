/* log_identity.h: the id of the open log and its epochs, as this process knows them.
 *
 * The store owns one; its driver fills it at open, the sequencer whenever the
 * driver has learned of a new epoch: after what the log has lost is gone from
 * memory, and before anything of the new epoch is put there. Whoever hands events
 * on remembers the generation, and looks again when it has moved: an event that
 * was read under one generation is not told under another. */
#ifndef EXCORE_STORE_LOG_IDENTITY_H
#define EXCORE_STORE_LOG_IDENTITY_H

#include <pthread.h>
#include <stdatomic.h>

#include <excore/log_id.h>

/** Epochs that are kept in memory, the newest ones. An older one counts as unknown. */
#define LOG_EPOCHS_KEPT 1000u

typedef struct log_identity {
    _Atomic uint64_t generation; /* rises with every change */
    pthread_mutex_t mu;
    /* guarded by mu */
    ex_id log_id;
    ex_log_epoch *epochs; /* oldest first */
    uint32_t count, room;
} log_identity;

void log_identity_init(log_identity *li);
void log_identity_done(log_identity *li);

/** Take over what the database says. The generation moves when it is something else than before.
 *  @param epochs oldest first; of more than LOG_EPOCHS_KEPT the newest are kept
 *  @return EX_OK, EX_ENOMEM (nothing has changed). Thread: the opening one, then the
 *          sequencer's; of a store that is open for reading any. */
EX_NODISCARD ex_status log_identity_set(log_identity *li, const ex_id *log_id,
                                        const ex_log_epoch *epochs, uint32_t count, ex_error *err);
/** Room for `count` more epochs, for log_identity_append. @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status log_identity_reserve(log_identity *li, uint32_t count, ex_error *err);
/** Another id, and epochs after those that there are. Room was reserved. Thread: the sequencer's.
 */
void log_identity_append(log_identity *li, const ex_id *log_id, const ex_log_epoch *epochs,
                         uint32_t count);
/** A new log: an id and a first epoch. @return EX_OK, EX_ENOMEM, EX_EINTERNAL (no randomness) */
EX_NODISCARD ex_status log_identity_create(log_identity *li, ex_error *err);
/** Make an epoch that begins at `first`. @return EX_OK, EX_EINTERNAL (no randomness) */
EX_NODISCARD ex_status log_epoch_make(uint64_t first, ex_epoch_reason reason, ex_log_epoch *ret,
                                      ex_error *err);
/** A reason by its name; EX_EPOCH_UNKNOWN for another. */
ex_epoch_reason log_epoch_reason_of(ex_slice name);
/** Thread: any. Blocking: no. */
uint64_t log_identity_generation(const log_identity *li);
ex_id log_identity_log_id(log_identity *li);
/** The last epoch; zeroed when there is none. */
ex_log_epoch log_identity_current(log_identity *li);
/** The newest `room`, oldest first; returns how many there are. */
uint32_t log_identity_list(log_identity *li, ex_log_epoch *out, uint32_t room);
/** The first position that is not current for those who hold `epoch`: the lowest first one of all
 *  epochs after it, UINT64_MAX for the last epoch, 0 for one that is not in the list.
 *  @param ret_generation nullable: under which this is true */
uint64_t log_identity_bound(log_identity *li, const ex_id *epoch, uint64_t *ret_generation);

/** The same over a list. */
uint64_t log_epochs_bound(const ex_log_epoch *epochs, uint32_t count, const ex_id *epoch);

#endif
