/* fault_run.h: one life of a store while something below it fails; shared by the fault tests.
 *
 *   begin -> open -> use -> (the test ends the fault) -> recover -> close -> end
 *
 * While the fault lasts a call may fail, with a status that says "try again"
 * and no other. Afterwards the same store must go on: what failed succeeds when
 * it is repeated, and the follower has seen exactly the log. In the end the
 * files are opened again and log_check compares them with what was
 * acknowledged. Nothing here allocates while a fault may be armed. */
#ifndef EXCORE_TESTS_FAULT_RUN_H
#define EXCORE_TESTS_FAULT_RUN_H

#include "store/store_internal.h"
#include "support/log_check.h"
#include "support/temp_dir.h"

#define FAULT_APPENDS    8
#define FAULT_EVENTS_MAX 4

typedef struct fault_run {
    const char *where; /* for messages; borrowed */
    const char *vfs;   /* NULL: the default one */
    bool in_memory;
    size_t large_bytes; /* data of a large event */
    temp_dir dir;
    ex_store *store;
    ex_subscription *follower;
    uint64_t seen; /* by the follower */
    unsigned refused;
    bool is_done[FAULT_APPENDS]; /* acknowledged */
    ex_event_ref refs[FAULT_APPENDS][FAULT_EVENTS_MAX];
    uint32_t counts[FAULT_APPENDS];
} fault_run;

/** Make the directory. The fields above `dir` are set by the caller. */
void fault_run_begin(fault_run *r);
/** Open the store; a failure must be one that says "try again". */
ex_status fault_run_open(fault_run *r);
/** Append, read, follow: everything may fail. */
void fault_run_use(fault_run *r);
/** The fault is over: opens the store when that had failed, repeats, follows, checks. */
void fault_run_recover(fault_run *r);
/** Close the store; a fault may strike here, too. */
void fault_run_close(fault_run *r);
/** Open it without any fault, check, remove everything. */
void fault_run_end(fault_run *r);

#endif
