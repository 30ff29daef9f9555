/* describe.c: what the engine and the options tell about a store. */
#include "store/describe.h"

#include "store/store_internal.h"

const char *ex_store_durability(const ex_store *s)
{
    if (s->options.in_memory)
        return "none";
    return s->options.durability == EX_DURABILITY_FULL ? "full" : "normal";
}

_Static_assert(EX_FEATURES_SIZE == STORE_FEATURES_SIZE, "copied whole");

/* As the database has it: another node may have opened an epoch. */
static ex_status read_epochs(const store_reader_ops *ops, void *reader, ex_store_facts *facts,
                             ex_error *err)
{
    ex_arena arena;
    store_epochs e = {0};
    ex_arena_init(&arena, 0);
    ex_status st = ops->epochs(reader, &arena, &e, err);
    facts->log_id = e.log_id;
    facts->epochs = e.count;
    if (st == EX_OK && e.count)
        facts->epoch = e.epochs[e.count - 1];
    ex_arena_done(&arena);
    return st;
}

ex_status ex_store_describe(ex_store *s, ex_store_facts *ret, ex_error *err)
{
    const store_driver_ops *ops = s->driver.ops;
    ex_store_facts facts = {.engine = ops->name,
                            .durability = s->sequencer ? ex_store_durability(s) : NULL};
    store_size size = {0};
    void *reader = NULL;
    ex_status st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    st = ops->reader->head(reader, &facts.head, err);
    if (st == EX_OK)
        st = ops->reader->measure(reader, &size, err);
    if (st == EX_OK)
        st = read_epochs(ops->reader, reader, &facts, err);
    reader_pool_give(&s->readers, reader, st != EX_OK);
    if (st)
        return st;
    facts.format = size.format;
    facts.size_bytes = size.bytes;
    memcpy(facts.features, size.features.all, sizeof(facts.features));
    *ret = facts;
    return EX_OK;
}
