/* log_copy_identity.h: a copied log keeps its id, and says where it goes its own way.
 *
 * The target lists its own epochs, then those of the source, and last one of its
 * own that begins after what was copied. Whoever read the source goes on at the
 * target; what both write from there on stands in different epochs. While a copy
 * is under way, and when it was cut short, the target has the source's id and one
 * epoch that begins at 1: nobody takes it for the source. */
#ifndef EXCORE_STORE_LOG_COPY_IDENTITY_H
#define EXCORE_STORE_LOG_COPY_IDENTITY_H

#include <excore/store.h>

/** Before anything is copied: an empty target takes the source's id. One that has events keeps its
 *  own, and a source without an id changes nothing.
 *  @return EX_OK, or why the target could not be written. Blocking: until it is committed. */
EX_NODISCARD ex_status log_copy_identity_begin(ex_store *from, ex_store *to, ex_error *err);
/** When both are equal: the target lists the source's epochs and its own. Nothing is written when
 * it does already, or has another id. */
EX_NODISCARD ex_status log_copy_identity_finish(ex_store *from, ex_store *to, ex_error *err);

#endif
