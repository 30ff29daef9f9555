/* stream_tails.c: see stream_tails.h. */
#include "store/sqlite/stream_tails.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS 32768u /* a power of two; as many as the store's own cache of streams has places */

_Static_assert(sizeof(stream_tail) == 64, "a tail fills one cache line");

ex_status stream_tails_init(stream_tails *t, ex_error *err)
{
    t->slots = calloc(SLOTS, sizeof(*t->slots)); /* memory that is not touched costs none */
    return t->slots ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory for the ends of the streams");
}

void stream_tails_done(stream_tails *t)
{
    free(t->slots);
    t->slots = NULL;
}

void stream_tails_clear(stream_tails *t)
{
    memset(t->slots, 0, SLOTS * sizeof(*t->slots));
}

static stream_tail *slot_of(const stream_tails *t, uint64_t stream_id)
{
    return &t->slots[stream_id & (SLOTS - 1)];
}

static void set_head(stream_tail *s, uint64_t stream_id, chain_place head)
{
    *s = (stream_tail){.stream_id = stream_id, .chain.version = head.version};
    s->chain.position[0] = head.position;
    s->chain.known = head.version ? 1 : 0;
}

void stream_tails_learn(stream_tails *t, uint64_t stream_id, chain_place head)
{
    stream_tail *s = slot_of(t, stream_id);
    assert(s->chain.pushed == 0); /* between the calls of write all heads are stored */
    if (s->stream_id != stream_id || s->chain.version != head.version)
        set_head(s, stream_id, head);
}

/* ---- Storing ---- */

static ex_status store_head(stream_tail *s, sqlite_conn *c, ex_error *err)
{
    uint64_t stored_version = s->chain.version - s->chain.pushed;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(
        c, stored_version ? STATEMENT_HEAD_UPDATE : STATEMENT_HEAD_INSERT, &st, err);
    if (status)
        return status;
    int rc = 0; /* SQLITE_OK is 0: any failure shows in the union of the bits */
    rc |= bind_u64(st, 1, s->stream_id);
    rc |= bind_u64(st, 2, s->chain.version);
    rc |= bind_u64(st, 3, s->chain.position[0]);
    if (stored_version)
        rc |= bind_u64(st, 4, stored_version);
    if (rc != SQLITE_OK)
        return sqlite_conn_raise(c, rc, "cannot bind the head of a stream", err);
    status = sqlite_conn_run(c, st, err);
    if (status == EX_OK && sqlite3_changes(c->db) != 1)
        status = ex_raise(err, EX_ESTORAGE,
                          "stream %llu is no longer at version %llu in the database: something "
                          "else has written to it",
                          (unsigned long long)s->stream_id, (unsigned long long)stored_version);
    if (status == EX_OK)
        s->chain.pushed = 0;
    return status;
}

ex_status stream_tails_store(stream_tails *t, sqlite_conn *c, uint64_t stream_id, ex_error *err)
{
    stream_tail *s = slot_of(t, stream_id);
    return s->stream_id == stream_id && s->chain.pushed ? store_head(s, c, err) : EX_OK;
}

/* ---- Linking ---- */

/* Put the stream into its slot. One whose first event this is has nothing to read. */
static ex_status load(stream_tail *s, sqlite_conn *c, uint64_t stream_id, uint64_t version,
                      ex_error *err)
{
    ex_status st = s->stream_id && s->chain.pushed ? store_head(s, c, err) : EX_OK;
    chain_place head = {0};
    if (st == EX_OK && version > 1)
        st = chain_walk_head(c, stream_id, &head, err);
    if (st == EX_OK)
        set_head(s, stream_id, head);
    return st;
}

static ex_status find_lacking(stream_tail *s, sqlite_conn *c, ex_error *err)
{
    chain_tail *chain = &s->chain;
    ex_status st = EX_OK;
    while (st == EX_OK && chain_tail_lacks(chain)) {
        chain_place oldest = {chain_tail_oldest(chain), chain->position[chain->known - 1]};
        chain_back at;
        st = chain_walk_links(c, s->stream_id, oldest, &at, err);
        if (st == EX_OK)
            chain->position[chain->known++] = at.jump;
    }
    return st;
}

bool stream_tails_reads(const stream_tails *t, uint64_t stream_id, uint64_t version)
{
    const stream_tail *s = slot_of(t, stream_id);
    return s->stream_id == stream_id ? chain_tail_lacks(&s->chain) : version > 1;
}

ex_status stream_tails_link(stream_tails *t, sqlite_conn *c, uint64_t stream_id, chain_place place,
                            chain_back *ret, ex_error *err)
{
    stream_tail *s = slot_of(t, stream_id);
    ex_status st = EX_OK;
    if (s->stream_id != stream_id)
        st = load(s, c, stream_id, place.version, err);
    if (st == EX_OK && (s->chain.version + 1 != place.version ||
                        (s->chain.known && s->chain.position[0] >= place.position)))
        st = ex_raise(err, EX_ESTORAGE,
                      "stream %llu is at version %llu in the database, so event %llu cannot be "
                      "its version %llu: something else has written to it",
                      (unsigned long long)stream_id, (unsigned long long)s->chain.version,
                      (unsigned long long)place.position, (unsigned long long)place.version);
    if (st == EX_OK)
        st = find_lacking(s, c, err);
    if (st)
        return st;
    *ret = chain_tail_push(&s->chain, place.position);
    return EX_OK;
}
