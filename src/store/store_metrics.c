/* store_metrics.c: registration and the few sums that need a label. */
#include "store/store_metrics.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const char *const outcome_names[OUTCOME_COUNT] = {
    [OUTCOME_STORED] = "stored",           [OUTCOME_DUPLICATE] = "duplicate",
    [OUTCOME_CONFLICT] = "conflict",       [OUTCOME_CONDITION] = "condition",
    [OUTCOME_IDEMPOTENCY] = "idempotency", [OUTCOME_STORAGE] = "storage",
    [OUTCOME_UNKNOWN] = "unknown",         [OUTCOME_REFUSED] = "refused",
};

static ex_status add_counters(store_metrics *m, ex_metrics *r, ex_error *err)
{
    static const ex_metric_desc submissions = {
        "store_submissions_total", "Submissions that ended, by outcome.", {"outcome"}};
    static const ex_metric_desc overloaded = {
        "store_overloaded_total", "Submissions refused because the queue was full.", {NULL}};
    static const ex_metric_desc conflicts = {
        "store_conflicts_total", "Appends refused by a condition, by its kind.", {"kind"}};
    static const ex_metric_desc duplicates = {
        "store_duplicates_total", "Appends answered with the outcome of an earlier one.", {NULL}};
    static const ex_metric_desc searched = {"store_conditions_searched_total",
                                            "Conditions of appends that were searched in the log.",
                                            {NULL}};
    static const ex_metric_desc events = {
        "events_appended_total", "Events committed, by type.", {"type"}};
    ex_counter *outcome_family = NULL, *conflict_family = NULL;
    ex_status st = ex_metrics_counter(r, &submissions, &outcome_family, err);
    if (st == EX_OK)
        st = ex_metrics_counter(r, &overloaded, &m->overloaded, err);
    if (st == EX_OK)
        st = ex_metrics_counter(r, &conflicts, &conflict_family, err);
    if (st == EX_OK)
        st = ex_metrics_counter(r, &duplicates, &m->duplicates, err);
    if (st == EX_OK)
        st = ex_metrics_counter(r, &searched, &m->conditions_searched, err);
    if (st == EX_OK)
        st = ex_metrics_counter(r, &events, &m->events_appended, err);
    if (st)
        return st;
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        ex_slice name = ex_str(outcome_names[i]);
        m->outcomes[i] = ex_counter_with(outcome_family, &name);
    }
    m->conflicts[0] = ex_counter_with(conflict_family, &EX_S("version"));
    m->conflicts[1] = ex_counter_with(conflict_family, &EX_S("condition"));
    return EX_OK;
}

static ex_status add_gauges(store_metrics *m, ex_metrics *r, ex_error *err)
{
    static const ex_metric_desc depth = {
        "store_queue_depth", "Submissions waiting for the sequencer.", {NULL}};
    static const ex_metric_desc head = {
        "store_log_head", "Position of the last committed event.", {NULL}};
    static const ex_metric_desc ahead = {
        "store_clock_ahead_seconds",
        "How far the log's last recorded_at is ahead of this machine's clock.",
        {NULL}};
    static const ex_metric_desc epochs = {
        "store_log_epochs", "Epochs of the log; one more: its end may have been lost.", {NULL}};
    static const ex_metric_desc searches = {
        "store_condition_searches", "Conditions that are searched or wait for it.", {NULL}};
    ex_status st = ex_metrics_gauge(r, &depth, &m->queue_depth, err);
    if (st == EX_OK)
        st = ex_metrics_gauge(r, &searches, &m->condition_searches, err);
    if (st == EX_OK)
        st = ex_metrics_gauge(r, &ahead, &m->clock_ahead, err);
    if (st == EX_OK)
        st = ex_metrics_gauge(r, &epochs, &m->log_epochs, err);
    return st ? st : ex_metrics_gauge(r, &head, &m->log_head, err);
}

static ex_status add_histograms(store_metrics *m, ex_metrics *r, const char *driver, ex_error *err)
{
    static const ex_metric_desc append = {
        "event_append_duration_seconds", "From queued to committed or refused.", {"store"}};
    ex_histogram *append_family = NULL;
    const struct {
        ex_metric_desc desc;
        const double *buckets;
        size_t bucket_count;
        ex_histogram **ret;
    } plain[] = {
        {{"store_queue_age_seconds", "How long submissions waited for the sequencer.", {NULL}},
         EX_BUCKETS_FINE,
         COUNT_OF(EX_BUCKETS_FINE),
         &m->queue_age},
        {{"store_batch_submissions", "Submissions in one transaction.", {NULL}},
         EX_BUCKETS_COUNT,
         COUNT_OF(EX_BUCKETS_COUNT),
         &m->batch_submissions},
        {{"store_batch_events", "Events in one transaction.", {NULL}},
         EX_BUCKETS_COUNT,
         COUNT_OF(EX_BUCKETS_COUNT),
         &m->batch_events},
        {{"store_commit_seconds", "Time of a commit, its fsync included.", {NULL}},
         EX_BUCKETS_FINE,
         COUNT_OF(EX_BUCKETS_FINE),
         &m->commit_seconds},
    };
    ex_status st = ex_metrics_histogram(r, &append, EX_BUCKETS_SECONDS,
                                        COUNT_OF(EX_BUCKETS_SECONDS), &append_family, err);
    for (size_t i = 0; st == EX_OK && i < COUNT_OF(plain); i++)
        st = ex_metrics_histogram(r, &plain[i].desc, plain[i].buckets, plain[i].bucket_count,
                                  plain[i].ret, err);
    ex_slice name = ex_str(driver);
    if (st == EX_OK)
        m->append_seconds = ex_histogram_with(append_family, &name);
    return st;
}

ex_status store_metrics_init(store_metrics *m, ex_metrics *registry, const char *driver,
                             ex_error *err)
{
    memset(m, 0, sizeof(*m));
    ex_map_init(&m->by_type, EX_METRIC_SETS_MAX);
    if (!registry)
        return EX_OK;
    m->is_on = true;
    ex_status st = add_counters(m, registry, err);
    if (st == EX_OK)
        st = add_gauges(m, registry, err);
    return st ? st : add_histograms(m, registry, driver, err);
}

void store_metrics_done(store_metrics *m)
{
    ex_map_done(&m->by_type, NULL); /* the counters are the registry's */
}

static store_outcome outcome_of(ex_status status, bool is_duplicate)
{
    switch ((int)status) {
    case EX_OK:
        return is_duplicate ? OUTCOME_DUPLICATE : OUTCOME_STORED;
    case EX_ECONFLICT:
        return OUTCOME_CONFLICT;
    case EX_ECONDITION:
        return OUTCOME_CONDITION;
    case EX_EIDEMPOTENCY:
        return OUTCOME_IDEMPOTENCY;
    case EX_ESTORAGE:
        return OUTCOME_STORAGE;
    case EX_EOUTCOME:
        return OUTCOME_UNKNOWN;
    default:
        return OUTCOME_REFUSED;
    }
}

void store_metrics_outcome(store_metrics *m, ex_status status, bool is_duplicate)
{
    store_outcome outcome = outcome_of(status, is_duplicate);
    ex_counter_add(m->outcomes[outcome], 1);
    if (outcome == OUTCOME_DUPLICATE)
        ex_counter_add(m->duplicates, 1);
    if (outcome == OUTCOME_CONFLICT || outcome == OUTCOME_CONDITION)
        ex_counter_add(m->conflicts[outcome == OUTCOME_CONDITION], 1);
}

/* The counter of a type is looked up under the registry's lock once and kept. */
static ex_counter *counter_of(store_metrics *m, ex_slice type)
{
    ex_counter *counter = ex_map_get(&m->by_type, type);
    if (counter)
        return counter;
    if (m->other_types)
        return m->other_types;
    counter = ex_counter_with(m->events_appended, &type);
    if (ex_map_put(&m->by_type, type, counter, NULL) == EX_ETOOLARGE)
        m->other_types = counter; /* the registry folded it */
    return counter;
}

void store_metrics_events(store_metrics *m, const ex_event *events, uint32_t count)
{
    if (!m->is_on)
        return;
    for (uint32_t i = 0; i < count; i++)
        ex_counter_add(counter_of(m, events[i].type), 1);
}
