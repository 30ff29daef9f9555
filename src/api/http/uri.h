/* uri.h: request targets: splitting, percent-decoding, and what is refused in them. */
#ifndef EXCORE_API_HTTP_URI_H
#define EXCORE_API_HTTP_URI_H

#include <excore/error.h>

/** Split "path?query" or "http://authority/path?query" (the authority must be `host`, else
 * EX_EMALFORMED) and check both: the path begins with '/', no segment is "." or "..", not even
 * encoded; every escape is valid and none is NUL; no fragment. "*" passes as a path. Slices point
 * into `target`.
 *  @return EX_OK, EX_EMALFORMED */
EX_NODISCARD ex_status uri_split(ex_slice target, ex_slice host, ex_slice *ret_path,
                                 ex_slice *ret_query, ex_error *err);
/** Decode escapes (and '+' as a blank when `is_query`) into `out`, which has room for in.len bytes.
 *  false on an invalid escape or an encoded NUL. */
bool uri_decode(ex_slice in, bool is_query, char *out, size_t *ret_len);
/** Cut the next "name=value" off a query. Start with *at = 0. Not decoded. */
bool uri_query_next(ex_slice query, size_t *at, ex_slice *ret_name, ex_slice *ret_value);

#endif
