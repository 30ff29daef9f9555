/* chain_walk.c: steps along the chain of a stream; each is one row by its row id. */
#include "store/sqlite/chain_walk.h"

#include <assert.h>

ex_status chain_walk_head(sqlite_conn *c, uint64_t stream_id, chain_place *ret, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_HEAD_FIND, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, stream_id);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    chain_place head = {0};
    if (rc == SQLITE_ROW)
        head = (chain_place){column_u64(st, 0), column_u64(st, 1)};
    else if (rc != SQLITE_DONE)
        status = sqlite_conn_raise(c, rc, "cannot read the head of a stream", err);
    (void)sqlite3_reset(st); /* repeats rc */
    if (status == EX_OK && (head.version == 0 || head.version > INT64_MAX || head.position == 0))
        status = ex_raise(err, EX_ECORRUPT, "stream %llu has a name but no events",
                          (unsigned long long)stream_id);
    if (status == EX_OK)
        *ret = head;
    return status;
}

/* ---- One event's links ---- */

ex_status chain_walk_check(uint64_t stream_id, chain_place place, uint64_t found_stream_id,
                           uint64_t found_version, ex_error *err)
{
    if (found_version == 0)
        return ex_raise(err, EX_ECORRUPT,
                        "version %llu of stream %llu should be event %llu, which does not exist",
                        (unsigned long long)place.version, (unsigned long long)stream_id,
                        (unsigned long long)place.position);
    if (found_stream_id != stream_id || found_version != place.version)
        return ex_raise(err, EX_ECORRUPT,
                        "version %llu of stream %llu should be event %llu, which is version %llu "
                        "of stream %llu",
                        (unsigned long long)place.version, (unsigned long long)stream_id,
                        (unsigned long long)place.position, (unsigned long long)found_version,
                        (unsigned long long)found_stream_id);
    return EX_OK;
}

static ex_status resolve(chain_place place, chain_back back, chain_back *ret, ex_error *err)
{
    uint64_t jump = chain_jump_version(place.version);
    bool has_jump = jump != 0 && jump != place.version - 1;
    bool is_prev_sound =
        place.version == 1 ? back.prev == 0 : back.prev > 0 && back.prev < place.position;
    bool is_jump_sound =
        has_jump ? back.jump > back.prev && back.jump < place.position : back.jump == 0;
    if (!is_prev_sound || !is_jump_sound)
        return ex_raise(err, EX_ECORRUPT,
                        "event %llu does not tell where the event before it in its stream is",
                        (unsigned long long)place.position);
    ret->prev = back.prev ? place.position - back.prev : 0;
    ret->jump = has_jump ? place.position - back.jump : jump ? ret->prev : 0;
    return EX_OK;
}

ex_status chain_walk_links(sqlite_conn *c, uint64_t stream_id, chain_place place,
                           chain_back *ret_positions, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_EVENT_LINKS, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, place.position);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(st);
    chain_back back = {0};
    if (rc == SQLITE_ROW) {
        status = chain_walk_check(stream_id, place, column_u64(st, 0), column_u64(st, 1), err);
        back = (chain_back){column_u64(st, 2), column_u64(st, 3)};
    } else if (rc == SQLITE_DONE) {
        status = chain_walk_check(stream_id, place, 0, 0, err);
    } else {
        status = sqlite_conn_raise(c, rc, "cannot follow a stream", err);
    }
    (void)sqlite3_reset(st); /* repeats rc */
    return status ? status : resolve(place, back, ret_positions, err);
}

/* ---- Walking ---- */

ex_status chain_walk_to_version(sqlite_conn *c, uint64_t stream_id, uint64_t version,
                                chain_place *place, ex_error *err)
{
    assert(version > 0 && version <= place->version);
    while (place->version > version) {
        chain_back at;
        ex_status st = chain_walk_links(c, stream_id, *place, &at, err);
        if (st)
            return st;
        uint64_t jump = chain_jump_version(place->version);
        if (jump >= version)
            *place = (chain_place){jump, at.jump};
        else
            *place = (chain_place){place->version - 1, at.prev};
    }
    return EX_OK;
}

ex_status chain_walk_to_position(sqlite_conn *c, uint64_t stream_id, uint64_t upto,
                                 chain_place *place, ex_error *err)
{
    while (place->version && place->position > upto) {
        chain_back at;
        ex_status st = chain_walk_links(c, stream_id, *place, &at, err);
        if (st)
            return st;
        if (at.jump && at.jump >= upto)
            *place = (chain_place){chain_jump_version(place->version), at.jump};
        else /* behind the first event there is none: version 0 */
            *place = (chain_place){place->version - 1, at.prev};
    }
    return EX_OK;
}

/* Positions fall with versions: when both differ by the same, all in between are neighbours. */
static uint64_t neighbours_back(chain_place place, chain_back at)
{
    uint64_t jump = chain_jump_version(place.version);
    return jump && place.position - at.jump == place.version - jump ? place.version - jump : 1;
}

ex_status chain_walk_collect(sqlite_conn *c, uint64_t stream_id, chain_place head,
                             uint64_t from_version, chain_check check, uint64_t *out, uint32_t room,
                             uint32_t *ret_count, ex_error *err)
{
    assert(from_version > 0);
    uint64_t left = head.version >= from_version ? head.version - from_version + 1 : 0;
    uint32_t count = left < room ? (uint32_t)left : room, i = count;
    chain_place place = head;
    ex_status st = EX_OK;
    if (count)
        st = chain_walk_to_version(c, stream_id, from_version + count - 1, &place, err);
    while (st == EX_OK && i > 0) {
        chain_back at;
        st = chain_walk_links(c, stream_id, place, &at, err);
        if (st)
            break;
        uint64_t back = check == CHAIN_CHECK_LATER ? neighbours_back(place, at) : 1;
        uint64_t behind = back == 1 ? at.prev : place.position - back;
        for (uint64_t n = 0; n < back && i > 0; n++)
            out[--i] = place.position - n;
        place = (chain_place){place.version - back, behind};
    }
    if (st == EX_OK)
        *ret_count = count;
    return st;
}
