/* id.h: 128-bit identifiers: UUID (version 7 when made here) and ULID.
 *
 * Both are 16 bytes; the form remembers which text they had, so an id given
 * as a ULID is shown as a ULID again. Text order is time order. */
#ifndef EXCORE_ID_H
#define EXCORE_ID_H

#include <excore/error.h>

EX_BEGIN_DECLS

typedef enum ex_id_form { EX_ID_UUID = 0, EX_ID_ULID = 1 } ex_id_form;

typedef struct ex_id {
    uint8_t bytes[16];
    uint8_t form; /* ex_id_form */
} ex_id;

#define EX_ID_TEXT_SIZE 37 /* longest text and its NUL */

/** A fresh UUIDv7 from the system clock: strictly rising over all threads of the process, also
 *  inside one millisecond and when the clock steps back. Random bits from getrandom only.
 *  Thread: any. @return EX_OK, EX_EINTERNAL (no random source) */
EX_API EX_NODISCARD ex_status ex_id_new(ex_id *ret, ex_error *err);
/** The same in ULID form. */
EX_API EX_NODISCARD ex_status ex_id_new_ulid(ex_id *ret, ex_error *err);

/** Parse UUID text (36 characters, either case, any version) or ULID text (26 Crockford characters,
 *  either case; I, L, O, U and a first character above 7 are refused). @return EX_OK, EX_EINVAL */
EX_API EX_NODISCARD ex_status ex_id_parse(ex_slice text, ex_id *ret, ex_error *err);

/** Write the text (UUID lower case, ULID upper case) and a NUL; returns the slice over `out`. */
EX_API ex_slice ex_id_text(const ex_id *id, char out[EX_ID_TEXT_SIZE]);

EX_API bool ex_id_is_nil(const ex_id *id);
EX_API bool ex_id_eq(const ex_id *a, const ex_id *b);
/** Milliseconds since 1970 held by a UUIDv7 or ULID; 0 for another UUID version. */
EX_API uint64_t ex_id_time_ms(const ex_id *id);

EX_END_DECLS

#endif
