/* store_end.h: the end of a store that must not wait for its database. */
#ifndef EXCORE_STORE_STORE_END_H
#define EXCORE_STORE_STORE_END_H

#include <excore/store.h>

/** The process ends: nothing that the store asks of PostgreSQL is waited for past `deadline_ns`
 *  (monotonic, the system's clock); what is not known then fails as when the server went away. A
 *  file does not keep anybody waiting: nothing happens. Thread: any. Blocking: no. */
void ex_store_end_by(ex_store *s, uint64_t deadline_ns);

#endif
