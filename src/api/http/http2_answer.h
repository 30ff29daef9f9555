/* http2_answer.h: the answers of HTTP/2 exchanges: heads, bodies, streams. The methods of
 * conn_protocol (conn.h) that http2.c takes from here. */
#ifndef EXCORE_API_HTTP_HTTP2_ANSWER_H
#define EXCORE_API_HTTP_HTTP2_ANSWER_H

#include "api/http/conn.h"

void http2_respond(http_exchange *x, const char *content_type, ex_slice body);
void http2_stream_begin(http_exchange *x, const char *content_type);
bool http2_stream_write(http_exchange *x, ex_slice bytes);
void http2_stream_end(http_exchange *x);
void http2_drained(http_conn *c);
/** x is answered (http2.c). */
void http2_built(http_exchange *x);
/** Begin those that waited until the connection holds less (http2.c). */
void http2_resume_parked(http_conn *c);

#endif
