/* json_rounded.h: the canonical form of earlier releases, with numbers rounded to doubles. */
#ifndef EXCORE_KERNEL_JSON_ROUNDED_H
#define EXCORE_KERNEL_JSON_ROUNDED_H

#include <excore/json.h>

/** As ex_json_canonical, but numbers of more digits than a double holds lose them: to recognise
 *  fingerprints that are stored. */
EX_NODISCARD ex_status ex_json_canonical_rounded(const ex_json *value, ex_arena *scratch,
                                                 ex_buf *out);

#endif
