/* json_oracle.h: our JSON reader against jansson's, for the oracle test and the fuzzer. */
#ifndef EXCORE_TESTS_JSON_ORACLE_H
#define EXCORE_TESTS_JSON_ORACLE_H

#include <excore/base.h>

/** NULL when both refuse the text or both read the same value; otherwise what differs.
 *  Known and wanted differences are let pass: integers beyond int64 and keys with NUL, which
 *  jansson refuses, raw NUL bytes, which it may skip, and our depth limit. */
const char *json_oracle_compare(ex_slice text);

#endif
