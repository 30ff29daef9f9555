/* store_metrics.h: the numbers that a store reports. Without a registry all are NULL and free. */
#ifndef EXCORE_STORE_STORE_METRICS_H
#define EXCORE_STORE_STORE_METRICS_H

#include <excore/event.h>

#include "kernel/map.h"
#include "observe/metrics.h"

/** Outcomes that are counted one by one; every other failure is OUTCOME_REFUSED. */
typedef enum store_outcome {
    OUTCOME_STORED,
    OUTCOME_DUPLICATE,
    OUTCOME_CONFLICT,
    OUTCOME_CONDITION,
    OUTCOME_IDEMPOTENCY,
    OUTCOME_STORAGE,
    OUTCOME_UNKNOWN,
    OUTCOME_REFUSED,
    OUTCOME_COUNT
} store_outcome;

typedef struct store_metrics {
    /* immutable after init */
    bool is_on;
    ex_counter *outcomes[OUTCOME_COUNT];
    ex_counter *overloaded;
    ex_counter *conflicts[2]; /* by version, by condition */
    ex_counter *duplicates;
    ex_counter *conditions_searched; /* beside a batch */
    ex_gauge *condition_searches;    /* that run or wait */
    ex_gauge *queue_depth;
    ex_gauge *log_head;
    ex_gauge *clock_ahead;
    ex_gauge *log_epochs;
    ex_gauge *head_age; /* head_known.c; shared engines */
    ex_histogram *queue_age;
    ex_histogram *batch_submissions;
    ex_histogram *batch_events;
    ex_histogram *commit_seconds;
    ex_histogram *append_seconds;
    ex_counter *events_appended; /* by type */
    /* the sequencer's thread */
    ex_map by_type; /* type -> its counter */
    ex_counter *other_types;
} store_metrics;

/** @param registry NULL: none. @param driver its name, a label */
EX_NODISCARD ex_status store_metrics_init(store_metrics *m, ex_metrics *registry,
                                          const char *driver, ex_error *err);
void store_metrics_done(store_metrics *m);

/** Count a submission's end. Thread: the sequencer. */
void store_metrics_outcome(store_metrics *m, ex_status status, bool is_duplicate);
/** Count committed events by type. Thread: the sequencer. */
void store_metrics_events(store_metrics *m, const ex_event *events, uint32_t count);

#endif
