/* decision.h: what a decide function answers into, as the runtime sees it. */
#ifndef EXCORE_RUNTIME_DECISION_H
#define EXCORE_RUNTIME_DECISION_H

#include <excore/aggregate.h>
#include <excore/event.h>

#define DECISION_EVENTS_MAX 100

typedef struct decision_event {
    const ex_type *type;
    const void *value; /* a copy, with all it points to, in the decision's arena */
    ex_slice json;
} decision_event;

struct ex_decision {
    /* in */
    const ex_aggregate *aggregate;
    ex_slice id;
    ex_slice command_id;
    int64_t now_us;
    ex_arena *arena;
    ex_buf *json; /* scratch for writing events */
    /* out */
    decision_event events[DECISION_EVENTS_MAX];
    uint32_t event_count;
    ex_slice tags[EX_TAGS_MAX];
    uint32_t tag_count;
    bool is_failed; /* ex_fail was called */
    ex_slice reason;
    ex_status status; /* the first failure of emit, tag, reject; sticky */
    ex_error error;
};

/** Run the command's `decide` and settle what it left: a failure of emit or tag that it overlooked still counts.
 *  @return EX_OK, EX_EREJECTED, or a failure; d->error has the detail, which
 *  names the command when it is the application that is at fault */
EX_NODISCARD ex_status decision_run(ex_decision *d, const ex_command_def *def, const void *state,
                                    const void *command);
/** What the events of a decision are stored with, beside what it says itself. */
typedef struct decision_origin {
    ex_slice metadata;
    ex_slice correlation_id, causation_id;
} decision_origin;

/** What it emitted as events to append, in its arena. @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status decision_events(const ex_decision *d, const decision_origin *origin,
                                       ex_new_event **ret, ex_error *err);
/** "left", the character, "right", in the arena; ptr is NULL when there is no memory. */
ex_slice decision_join(ex_arena *arena, ex_slice left, char between, ex_slice right);

#endif
