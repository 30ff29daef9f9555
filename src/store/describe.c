/* describe.c: what the engine and the options tell about a store. */
#include "store/describe.h"

#include "store/store_internal.h"

ex_status ex_store_describe(ex_store *s, ex_store_facts *ret, ex_error *err)
{
    const store_driver_ops *ops = s->driver.ops;
    ex_store_facts facts = {.engine = ops->name,
                            .is_written = s->sequencer != NULL,
                            .durability = s->options.durability};
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
