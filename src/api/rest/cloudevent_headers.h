/* cloudevent_headers.h: the attributes of a CloudEvent in binary mode (HTTP binding 1.0, 3.1.3). */
#ifndef EXCORE_API_REST_CLOUDEVENT_HEADERS_H
#define EXCORE_API_REST_CLOUDEVENT_HEADERS_H

#include "api/http/http.h"

/** Is the request one? Then it names the version of the specification in a header. */
bool cloudevent_is_binary(const http_exchange *x);
/** The headers ce-NAME as an object of texts, unquoted and percent-decoded.
 *  @return EX_OK, EX_EINVAL (the header is the field), EX_ENOMEM */
EX_NODISCARD ex_status cloudevent_headers(const http_exchange *x, ex_arena *arena, ex_json *ret,
                                          ex_error *err);

#endif
