/* room.h: what exchanges and connections do with the budget (budget.h): count what they hold, ask
 * before they begin something large, wait.
 *
 *   a request over HTTP/1    while the client leaves its answers unread, nothing more is read
 *   a large answer, HTTP/2   waits while the connection holds its share; others of it go on
 *   a large body             HTTP/1: reading stops until there is room, at most ROOM_MS, then 503;
 *                            HTTP/2: 503 at once, the connection's other streams need the socket
 *   a streamed answer        its producer is told to stop, and told again when there is room
 *   any other request        503 once server or address have reached their limit
 *
 * Loop thread. */
#ifndef EXCORE_API_HTTP_ROOM_H
#define EXCORE_API_HTTP_ROOM_H

#include "api/http/conn.h"

#define ROOM_MS            5000
#define WAITING_BODIES_MAX 64 /* of a loop; each holds what was read with its head */

/** Count what x holds now. Not while another thread works for it. */
void exchange_count(http_exchange *x);
/** Let the body have `bytes` in all. @return BUDGET_FREE, or where there is no room */
EX_NODISCARD budget_level exchange_claim_body(http_exchange *x, size_t bytes);
/** Count a refusal and raise it: EX_EOVERLOADED. */
ex_status exchange_raise_full(const http_exchange *x, budget_level level, ex_error *err);
/** The request is whole: bound what its parsed form may take. */
void exchange_limit_arena(http_exchange *x);
/** The parsed form met that bound, and not the lasting one. */
bool exchange_was_cut_short(const http_exchange *x);
/** @return EX_OK, EX_EOVERLOADED: server or address are at their limit for this route */
EX_NODISCARD ex_status exchange_check_room(http_exchange *x, ex_error *err);

/** Count output and waiting input of a connection. */
void conn_count(http_conn *c);
/** Whether the connection may hold so many long answers more, as they have been of late. */
bool conn_has_share(const http_conn *c, size_t count);
/** A long answer has been built. */
void conn_note_long(http_conn *c, size_t bytes);

/** x waits for room: for its body (READING) or to be written to (STREAMING). */
void room_wait(http_exchange *x);
void room_stop_waiting(http_exchange *x);
/** Let those go on for whom there is room. */
void room_resume(http_core *core);

#endif
