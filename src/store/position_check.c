/* position_check.c: see position_check.h. */
#include "store/position_check.h"

#include "store/head_known.h"
#include "store/import.h"

static ex_status set_numbers(uint64_t position, uint64_t current, ex_error *err)
{
    if (err) {
        err->position = position;
        err->current = current;
    }
    return EX_EAHEAD;
}

ex_status position_raise_ahead(uint64_t position, uint64_t head, ex_error *err)
{
    (void)ex_raise(err, EX_EAHEAD, "the log ends at %llu, there is no position %llu yet",
                   (unsigned long long)head, (unsigned long long)position);
    return set_numbers(position, head, err);
}

ex_status position_check_log(ex_store *s, uint64_t position, ex_error *err)
{
    uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    if (position <= head)
        return EX_OK;
    ex_status st = ex_store_read_head(s, &head, err); /* another process may have written it */
    return st || position <= head ? st : position_raise_ahead(position, head, err);
}

ex_status position_check_stream(ex_store *s, ex_slice stream, uint64_t version, ex_error *err)
{
    uint64_t current = 0;
    if (version == 0)
        return EX_OK;
    /* also what another process has written, and this one has not heard of */
    uint64_t upto = s->driver.ops->shared ? INT64_MAX : 0;
    ex_status st = ex_store_stream_version_at(s, stream, upto, &current, err);
    if (st || version <= current)
        return st;
    (void)ex_raise(err, EX_EAHEAD, "stream '%.*s' is at version %llu, it has no version %llu yet",
                   EX_ARG(stream), (unsigned long long)current, (unsigned long long)version);
    return set_numbers(version, current, err);
}
