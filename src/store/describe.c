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

/* Read, not remembered: it also is so while nobody writes, and where this process does not. */
static ex_status measure_ahead(ex_store *s, uint64_t head, int64_t *ret_us, ex_error *err)
{
    ex_read_log last = {.after = head ? head - 1 : 0, .limit = 1};
    ex_cursor *c = NULL;
    ex_event event;
    *ret_us = 0;
    ex_status st = head ? ex_store_read_log(s, &last, &c, err) : EX_EEND;
    st = st ? st : ex_cursor_next(c, &event, err);
    if (st == EX_OK) {
        int64_t ahead_us = event.recorded_at_us - ex_now_us(s->options.clock);
        *ret_us = ahead_us >= STORE_AHEAD_US ? ahead_us : 0;
    }
    ex_cursor_close(c);
    return st == EX_EEND ? EX_OK : st;
}

ex_status ex_store_check_clock(ex_store *s, ex_error *err)
{
    int64_t ahead_us = 0;
    ex_status st = measure_ahead(s, ex_store_head(s), &ahead_us, err);
    if (st || ahead_us == 0)
        return st;
    return ex_raise(err, EX_EAGAIN,
                    "the log's last time is %lld s ahead of the clock: recorded_at stands still "
                    "until the clock has come by it",
                    (long long)(ahead_us / 1000000));
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
    st = st ? st : measure_ahead(s, facts.head, &facts.clock_ahead_us, err);
    if (st)
        return st;
    facts.format = size.format;
    facts.size_bytes = size.bytes;
    memcpy(facts.features, size.features.all, sizeof(facts.features));
    *ret = facts;
    return EX_OK;
}
