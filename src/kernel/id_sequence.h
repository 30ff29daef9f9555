/* id_sequence.h: the generator behind ex_id_new, with clock and state given, so that tests can
 * step the clock back and a simulation can make the same ids again. */
#ifndef EXCORE_KERNEL_ID_SEQUENCE_H
#define EXCORE_KERNEL_ID_SEQUENCE_H

#include <excore/clock.h>
#include <excore/id.h>

#include <stdatomic.h>

/** Zero-initialised is ready. Ids of one sequence rise strictly. */
typedef struct id_sequence {
    _Atomic uint64_t last; /* 44 bits of milliseconds, 20 bits of counter */
} id_sequence;

/** The next id of the sequence. Thread: any. @return EX_OK, EX_EINTERNAL (no random source) */
EX_NODISCARD ex_status id_sequence_next(id_sequence *s, const ex_clock *clock, ex_id_form form,
                                        ex_id *ret, ex_error *err);

#endif
