/* server_log.h: the log as the server shows it, read again after every crash.
 *
 * Reading checks each event against all that came before it:
 *
 *   positions 1, 2, 3 …, versions 1, 2, 3 … in each stream, no id twice in a stream
 *   the events of one attempt side by side, all of them, and only once
 *
 * What was read is remembered (a hash of each event's text), so that a later pass
 * over the whole log shows whether anything changed, and a follower's events can be
 * compared. Events are passed on to the fold of the orders. One thread. */
#ifndef EXCORE_TESTS_SERVER_LOG_H
#define EXCORE_TESTS_SERVER_LOG_H

#include "crash/server_attempt.h"
#include "crash/server_orders.h"

typedef struct server_log server_log;

/** @param orders borrowed; gets every event once */
server_log *server_log_new(server_orders *orders);
/** NULL is accepted. */
void server_log_free(server_log *log);

/** Read what is new, up to the server's head. */
void server_log_read(server_log *log, uint16_t port);
/** Read all of it again and compare. */
void server_log_read_again(const server_log *log, uint16_t port);

uint64_t server_log_head(const server_log *log);
/** 0 when nothing of that stream was read. */
uint64_t server_log_version(const server_log *log, const char *stream);
/** Of the event's JSON text. */
uint64_t server_log_hash(const server_log *log, uint64_t position);
/** Whether events of that attempt were read. */
bool server_log_has(const server_log *log, uint64_t attempt_number);
/** Does the log agree with what the attempt's client was told? Fails the run if not. */
void server_log_check(const server_log *log, const attempt *a);

#endif
