/* feeder.h: keeps a fixed number of submissions unanswered, from one thread.
 *
 * A submission that is answered goes on a stack; the feeder takes the whole
 * stack at once and submits again, so a batch of answers costs one wake-up. */
#ifndef EXCORE_BENCH_FEEDER_H
#define EXCORE_BENCH_FEEDER_H

#include <excore/error.h>

struct feeder;

/** First member of what is in flight. */
typedef struct feeder_slot {
    struct feeder_slot *next;
    struct feeder *feeder;
    uint32_t index;
} feeder_slot;

typedef struct feeder_load {
    uint32_t in_flight;
    size_t slot_size; /* of the struct that begins with feeder_slot; zeroed at first */
    double seconds;   /* submit for this long; 0: until `limit` */
    uint64_t limit;   /* submissions; 0: until `seconds` are over */
    /** Submit `slot`; feeder_finish must follow. A failure ends the program. */
    ex_status (*submit)(void *ctx, feeder_slot *slot, ex_error *err);
    void (*drop)(feeder_slot *slot); /* free what a slot holds; NULL: nothing */
    void *ctx;
} feeder_load;

/** Run the load; ends the program when a submission failed. @return submissions a second */
double feeder_run(const feeder_load *load);
/** The slot's answer has come. Thread: any. */
void feeder_finish(feeder_slot *slot, ex_status status);

#endif
