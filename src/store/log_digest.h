/* log_digest.h: one value for all events of a log up to a position, the same on every engine.
 *
 * A chain of SHA-256, so that the digest after each event is known and order counts:
 *
 *   digest(0) = 32 zero bytes
 *   digest(n) = SHA-256( digest(n - 1) | canonical form of event n )
 *
 * The canonical form, integers big-endian, texts and bytes as `length (4 bytes) | bytes`:
 *
 *   bytes  field
 *   -----  ---------------------------------------------------------------
 *       8  position
 *       8  version
 *       8  recorded_at, microseconds since 1970, two's complement
 *       4  schema version
 *       1  form of the id: 0 UUID, 1 ULID
 *      16  id
 *   4 + n  stream
 *   4 + n  type
 *   4 + n  content type, "application/json" where none was given
 *   4 + n  correlation id, empty when none
 *   4 + n  causation id, empty when none
 *   4 + n  tags, in the order given, each as length (1 byte) | bytes
 *   4 + n  metadata, "{}" where none was given
 *   4 + n  data
 *
 * The form never changes: digests are kept and compared years later. */
#ifndef EXCORE_STORE_LOG_DIGEST_H
#define EXCORE_STORE_LOG_DIGEST_H

#include <excore/event.h>

#define LOG_DIGEST_BYTES     32
#define LOG_DIGEST_TEXT_SIZE (2 * LOG_DIGEST_BYTES + 1)

typedef struct ex_log_digest {
    uint64_t position; /* of the last event in it */
    uint8_t bytes[LOG_DIGEST_BYTES];
    void *context; /* of the hash; owned */
    void *algorithm;
} ex_log_digest;

/** Begin with an empty log. @return EX_OK, EX_ENOMEM, EX_EINTERNAL (no SHA-256) */
EX_NODISCARD ex_status ex_log_digest_init(ex_log_digest *d, ex_error *err);
/** A zeroed one is accepted. */
void ex_log_digest_done(ex_log_digest *d);
/** Go on with the event behind the last one. @return EX_OK, EX_ECORRUPT (it is another one),
 *  EX_EINTERNAL. Thread: one at a time. */
EX_NODISCARD ex_status ex_log_digest_add(ex_log_digest *d, const ex_event *event, ex_error *err);
/** True when both are of the same events. */
bool ex_log_digest_eq(const ex_log_digest *a, const ex_log_digest *b);
/** 64 hex digits, lower case, and a NUL; returns the slice over `out`. */
ex_slice ex_log_digest_text(const ex_log_digest *d, char out[LOG_DIGEST_TEXT_SIZE]);

#endif
