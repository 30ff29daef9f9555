/* chain.h: how the events of a stream hang together: the arithmetic, without a database.
 *
 * Each event tells where the one before it in its stream stands, and where an
 * older one stands, the jump. How far the jump reaches depends on the version
 * alone: versions are grouped into blocks of 1, 3, 7, 15, ... (2^k - 1), as
 * greedily as the digits of a skew-binary number, and an event jumps to the last
 * one before its block (Myers, "An applicative random-access stack", 1983):
 *
 *   version   1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16
 *   jumps to  -  1  -  3  4  3  -  7  8  7 10 11 10  7  - 15
 *
 * From the last event any version is at most 3 log2(n) steps away. What
 * the next event jumps to is what the last one stands on (its own position), or
 * the jump of the jump of the last one: both follow from the positions that a
 * chain_tail keeps. */
#ifndef EXCORE_STORE_SQLITE_CHAIN_H
#define EXCORE_STORE_SQLITE_CHAIN_H

#include <excore/base.h>

#define CHAIN_KEPT                                                                                 \
    5u /* fewer: more reads of old events; more: a stream_tail no longer fits 64 bytes */

/** The version that the event of `version` (from 1) jumps to; 0: none. */
uint64_t chain_jump_version(uint64_t version);

/** What an event stores: how far back both stand, as differences of positions; 0: none. */
typedef struct chain_back {
    uint64_t prev; /* 0: the stream's first event */
    uint64_t jump; /* 0: none, or the jump goes to prev */
} chain_back;

/** The end of a stream: position[0] is its last event's, position[n + 1] what [n] jumps to. */
typedef struct chain_tail {
    uint64_t version; /* of the last event; 0: the stream is empty */
    uint64_t position[CHAIN_KEPT];
    uint32_t known;  /* positions: 0 when empty; older ones may exist beyond */
    uint32_t pushed; /* events; the owner sets it to 0 */
} chain_tail;

/** True when position[known] has to be found before the next event can be added (at most twice in
 *  a row). */
bool chain_tail_lacks(const chain_tail *t);
/** The version of position[known - 1], whose jump is the one that is lacking. */
uint64_t chain_tail_oldest(const chain_tail *t);
/** Add the next event, at a position above all others. Nothing is lacking. */
chain_back chain_tail_push(chain_tail *t, uint64_t position);

#endif
