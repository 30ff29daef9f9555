/* chain_walk.h: finding events of a stream over one connection, from its head backwards (chain.h).
 *
 * Every row that a walk reads is checked: the wrong stream or version, or a
 * position that does not exist, is EX_ECORRUPT. Each step goes to a lower
 * version, so a walk ends whatever the file holds. */
#ifndef EXCORE_STORE_SQLITE_CHAIN_WALK_H
#define EXCORE_STORE_SQLITE_CHAIN_WALK_H

#include "store/sqlite/chain.h"
#include "store/sqlite/sqlite_conn.h"

/** An event of a stream: its version and where it should stand. Version 0: none. */
typedef struct chain_place {
    uint64_t version;
    uint64_t position;
} chain_place;

/** The stream's last event. A stream without one is EX_ECORRUPT. */
EX_NODISCARD ex_status chain_walk_head(sqlite_conn *c, uint64_t stream_id, chain_place *ret,
                                       ex_error *err);
/** Where the event at `place` leads: the positions of its predecessor and of its jump; 0: none. */
EX_NODISCARD ex_status chain_walk_links(sqlite_conn *c, uint64_t stream_id, chain_place place,
                                        chain_back *ret_positions, ex_error *err);
/** From `*place` back to `version`, which is not above it and not 0. */
EX_NODISCARD ex_status chain_walk_to_version(sqlite_conn *c, uint64_t stream_id, uint64_t version,
                                             chain_place *place, ex_error *err);
/** From `*place` back to the last event that is not above the position `upto`. */
EX_NODISCARD ex_status chain_walk_to_position(sqlite_conn *c, uint64_t stream_id, uint64_t upto,
                                              chain_place *place, ex_error *err);
/** How the rows of chain_walk_collect are checked. */
typedef enum chain_check {
    CHAIN_CHECK_ALL,
    CHAIN_CHECK_LATER /* the caller checks each: rows between neighbours may be passed over */
} chain_check;

/** The positions of `from_version` and of those behind it, rising: as many as there are up to
 *  `head`, and as `room`. None when `from_version` (from 1) is above the head. */
EX_NODISCARD ex_status chain_walk_collect(sqlite_conn *c, uint64_t stream_id, chain_place head,
                                          uint64_t from_version, chain_check check, uint64_t *out,
                                          uint32_t room, uint32_t *ret_count, ex_error *err);
/** Compare what a row at `place` says with what it should; version 0: there is no such row. */
EX_NODISCARD ex_status chain_walk_check(uint64_t stream_id, chain_place place,
                                        uint64_t found_stream_id, uint64_t found_version,
                                        ex_error *err);

#endif
