/* request.h: what the routes read from a request besides its body: parameters, media types, ids. */
#ifndef EXCORE_API_REST_REQUEST_H
#define EXCORE_API_REST_REQUEST_H

#include "api/http/http.h"

/** The query parameters that a route knows. A list takes commas and repetition; the others come
 * once. */
typedef struct request_param {
    const char *name;
    bool is_list;
} request_param;

/** Refuse parameters that are not in the table (code UNKNOWN_FIELD) and single ones given
 * twice. */
EX_NODISCARD ex_status request_check_params(const http_exchange *x, const request_param *known,
                                            size_t count, ex_error *err);
/** Digits only; absent leaves *ret alone. A number beyond 64 bits reads as UINT64_MAX. */
EX_NODISCARD ex_status request_u64(const http_exchange *x, const char *name, uint64_t *ret,
                                   ex_error *err);
/** Without blanks and tabs around it. */
ex_slice request_trim(ex_slice s);
/** One value of a comma-separated list: %2C is a comma, %25 a percent sign. Borrowed when it has
 * neither. */
EX_NODISCARD ex_status request_list_value(ex_slice part, ex_arena *arena, ex_slice *ret,
                                          ex_error *err);
/** All values of a list parameter, split at commas; inside a value %2C (sent as %252C) is a comma
 * and %25 a percent sign. Empty values are refused. */
EX_NODISCARD ex_status request_list(http_exchange *x, const char *name, const ex_slice **ret,
                                    uint32_t *ret_count, ex_error *err);

/** The index of the best of the `offers` for an Accept header ({NULL,0}: the first), or -1 when
 * none will do. q-values count, then how specific a range is, then the order of the offers. */
int request_negotiate(ex_slice accept, const char *const *offers, size_t count);
/** The same for the exchange; failing that EX_EINVAL with HTTP status 406, code NOT_ACCEPTABLE. */
EX_NODISCARD ex_status request_accept(const http_exchange *x, const char *const *offers,
                                      size_t count, size_t *ret, ex_error *err);
/** The index of the media type of the body among `types`, parameters aside (charset may only be
 * UTF-8); else EX_EMEDIATYPE. */
EX_NODISCARD ex_status request_body_type(const http_exchange *x, const char *const *types,
                                         size_t count, size_t *ret, ex_error *err);

/** X-Correlation-ID when it is 1 to 128 of [A-Za-z0-9._-] (R-01-54), else the request id. */
ex_slice request_correlation_id(const http_exchange *x);

/** Does the request's If-None-Match (RFC 9110 13.1.2) name `etag`, which has its quotes? `*` does.
 * Thread: any. */
bool request_names_etag(ex_slice if_none_match, ex_slice etag);
/** The ETag of a whole body, into `out` with its quotes. */
#define REQUEST_ETAG_SIZE 19
ex_slice request_body_etag(ex_slice body, char out[REQUEST_ETAG_SIZE]);
/** 304 with what a 200 would have said beside the body. */
void request_respond_unchanged(http_exchange *x);

/** Add a header of the answer: the number, with `quote` ("" or "\"") on both sides: an ETag has it.
 */
void request_add_number(http_exchange *x, const char *lower_name, const char *quote, uint64_t n);

#endif
