/* describe.c: what the engine and the options tell about a store. */
#include "store/describe.h"

#include "store/store_internal.h"

const char *ex_store_durability(const ex_store *s)
{
    if (s->options.in_memory)
        return "none";
    return s->options.durability == EX_DURABILITY_FULL ? "full" : "normal";
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
    reader_pool_give(&s->readers, reader, st != EX_OK);
    if (st)
        return st;
    facts.format = size.format;
    facts.size_bytes = size.bytes;
    *ret = facts;
    return EX_OK;
}
