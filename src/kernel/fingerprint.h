/* fingerprint.h: a 64-bit hash that is stored: the same in every process and release.
 *
 * FNV-1a with a final mix. Not for hash tables (ex_hash is seeded) and not
 * against forgery: it tells an honest retry from a different request. */
#ifndef EXCORE_KERNEL_FINGERPRINT_H
#define EXCORE_KERNEL_FINGERPRINT_H

#include <excore/base.h>

#define EX_FINGERPRINT_START UINT64_C(0xcbf29ce484222325)

/** Continue `fingerprint` with the bytes and their length, so that parts cannot shift. */
uint64_t ex_fingerprint(uint64_t fingerprint, ex_slice bytes);

#endif
