/* log_check.h: is the log what the clients of a crashed or faulty store were told?
 *
 * Clients note what was acknowledged. log_check_run then reads the whole log
 * and every stream and checks:
 *
 *   positions are 1, 2, 3 ... to the head, recorded times never step back
 *   versions of each stream are 1, 2, 3 ..., by log, by stream and by number
 *   no event id is there twice in its stream
 *   every acknowledged id is there, at the position that was acknowledged
 *   no append is there in part: events that carry the mark of log_check_mark
 *   as their correlation id stand side by side, all of them
 *
 * It knows nothing of how the events came in, so it serves the library, the
 * server and the fault tests. One thread at a time. */
#ifndef EXCORE_TESTS_LOG_CHECK_H
#define EXCORE_TESTS_LOG_CHECK_H

#include <excore/store.h>

typedef struct log_check log_check;

/** Ends the program when memory is short, as all of these do. */
log_check *log_check_new(void);
/** NULL is accepted. */
void log_check_free(log_check *c);

#define LOG_CHECK_MARK_SIZE 64
/** The correlation id for the events of one append: "append/NAME/COUNT". Name: digits and letters.
 */
ex_slice log_check_mark(char out[LOG_CHECK_MARK_SIZE], const char *name, unsigned count);

/** The client was told that the event is stored. `position` 0: it was not told where. */
void log_check_acknowledged(log_check *c, const ex_id *id, uint64_t position);
size_t log_check_count(const log_check *c);

typedef struct log_check_result {
    uint64_t events;
    uint64_t streams;
    uint64_t appends; /* marked ones */
    char fault[512];  /* the first that was found; "" when all is well */
} log_check_result;

/** Read everything and compare. @return true when all is well */
bool log_check_run(const log_check *c, ex_store *s, log_check_result *ret);

#endif
