/* chain.c: skew-binary jumps, and the tail that knows the next one. */
#include "store/sqlite/chain.h"

#include <assert.h>
#include <string.h>

uint64_t chain_jump_version(uint64_t version)
{
    assert(version > 0 && version < UINT64_MAX);
    uint64_t rest = version, block = 0;
    while (rest) { /* the largest block that fits, from the first version on; the last one counts */
        block = (UINT64_C(1) << (63 - __builtin_clzll(rest + 1))) - 1;
        rest -= block;
    }
    return version - block;
}

/* Two blocks of the same size and one more event become one block: its jump skips both. */
static bool joins_blocks(const chain_tail *t, uint64_t jump)
{
    return jump != 0 && jump != t->version;
}

bool chain_tail_lacks(const chain_tail *t)
{
    return joins_blocks(t, chain_jump_version(t->version + 1)) && t->known < 3;
}

uint64_t chain_tail_oldest(const chain_tail *t)
{
    assert(t->known > 0);
    uint64_t version = t->version;
    for (uint32_t i = 1; i < t->known; i++)
        version = chain_jump_version(version);
    return version;
}

/* Forget `drop` positions from the front and put `position` there. */
static void replace_front(chain_tail *t, uint32_t drop, uint64_t position)
{
    uint32_t kept = t->known - drop;
    if (kept == CHAIN_KEPT)
        kept--;
    memmove(t->position + 1, t->position + drop, kept * sizeof(t->position[0]));
    t->position[0] = position;
    t->known = kept + 1;
}

chain_back chain_tail_push(chain_tail *t, uint64_t position)
{
    assert(!chain_tail_lacks(t));
    assert(t->version == 0 ? t->known == 0 : t->known > 0 && t->position[0] < position);
    uint64_t jump = chain_jump_version(t->version + 1);
    chain_back back = {0};
    if (t->version)
        back.prev = position - t->position[0];
    if (joins_blocks(t, jump)) {
        back.jump = position - t->position[2];
        replace_front(t, 2, position);
    } else {
        replace_front(t, jump ? 0 : t->known, position);
    }
    t->version++;
    t->pushed++;
    return back;
}
