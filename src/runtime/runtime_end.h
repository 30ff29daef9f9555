/* runtime_end.h: the end of a runtime that must not wait for the database of its views. */
#ifndef EXCORE_RUNTIME_RUNTIME_END_H
#define EXCORE_RUNTIME_RUNTIME_END_H

#include <excore/runtime.h>

/** As ex_store_end_by, for views and queries on PostgreSQL. Thread: any. Blocking: no. */
void ex_runtime_end_by(ex_runtime *rt, uint64_t deadline_ns);

#endif
