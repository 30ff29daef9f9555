/* gather.h: how long a batch waits for those who were just answered and will come again.
 *
 * Clients that wait for their answer come back right after it. The first of
 * them would get a commit of his own, and all the others would wait for that
 * one. So a batch expects as many as wait already and as many as the last batch
 * had, and gives them up to a quarter of the time that a commit takes: in naps,
 * and none when commits are fast. When they do not come, the next batches do
 * not wait: 1, 3, 7 … of them, until waiting was worth it again. Who appends
 * alone never waits. */
#ifndef EXCORE_STORE_GATHER_H
#define EXCORE_STORE_GATHER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct gather {
    uint64_t commit_ns; /* of a commit, smoothed */
    uint32_t expected;  /* submissions of this batch */
    uint32_t naps_left;
    bool has_waited;
    uint32_t doubt; /* batches passed over after the last disappointment; 0: it was worth it */
    uint32_t passes_left;
} gather;

/** A batch begins. */
void gather_begin(gather *g);
/** Nothing is queued: take a nap when more are expected than the `staged` ones.
 *  @return false: commit now */
bool gather_nap(gather *g, uint32_t staged);
/** It was committed. @param staged its submissions
 *  @param waiting those queued by now, before anybody was answered */
void gather_end(gather *g, uint32_t staged, uint32_t waiting, uint64_t commit_ns);

#endif
