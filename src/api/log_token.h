/* log_token.h: which log an answer is from, as text: LOG/EPOCH, two ids.
 *
 * It is the header excore-log of an answer. A client that keeps a position keeps it too, gives both
 * back, and is told when the position is no longer what it was (excore/log_id.h). */
#ifndef EXCORE_API_LOG_TOKEN_H
#define EXCORE_API_LOG_TOKEN_H

#include <stdatomic.h>

#include <excore/store.h>

#define LOG_TOKEN_HEADER    "excore-log"
#define LOG_TOKEN_TEXT_SIZE ((size_t)2 * EX_ID_TEXT_SIZE)

typedef struct log_token {
    ex_id log, epoch;
} log_token;

/** The store's log and its last epoch. Thread: any. Blocking: no. */
log_token log_token_of(ex_store *store);
/** The text and a NUL; returns the slice over `out`. Empty for a log without an id, of a store of
 * an older format that is open for reading. */
ex_slice log_token_text(const log_token *token, char out[LOG_TOKEN_TEXT_SIZE]);

/** The text of the present token, made once for each epoch: every answer has it. */
typedef struct log_token_cache {
    _Atomic(struct log_token_text *) newest; /* and those before, which answers may still have */
} log_token_cache;

/** The text for an answer whose positions are read from now on, or were written just now.
 *  @param cache zeroed at first, of one store
 *  @return borrowed until `cache` is done; empty as above, or when there is no memory. Thread: any.
 *          Blocking: no */
ex_slice log_token_cached(log_token_cache *cache, ex_store *store);
/** A zeroed one is accepted. */
void log_token_cache_done(log_token_cache *cache);

/** @return EX_OK, EX_EINVAL */
EX_NODISCARD ex_status log_token_parse(ex_slice text, log_token *ret, ex_error *err);
/** May its holder go on after `position` here?
 *  @return as ex_store_check_position; EX_ELOGCHANGED also for another log. Thread, blocking: the
 *          same */
EX_NODISCARD ex_status log_token_check(const log_token *token, ex_store *store, uint64_t position,
                                       ex_error *err);

#endif
