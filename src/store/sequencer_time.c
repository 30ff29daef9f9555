/* sequencer_time.c: the time of a batch, and which outcomes of command ids are old.
 *
 * The wall clock may be wrong for a while: it jumps ahead, and is set back. Two
 * things follow from it:
 *
 * - recorded_at never goes back, so that what is recorded after the clock was set
 *   right carries the log's last time until the clock has come by it. That is
 *   told once, and the metric says how far the log is ahead.
 * - an outcome that is forgotten early lets a repeated command run twice. So
 *   outcomes do not age by the wall clock but by time that was seen to pass: what
 *   the monotonic clock counts while a process has the store open. It goes on from
 *   where an earlier process had come (the driver keeps it beside the log); where
 *   that is not known it begins with the oldest outcome. A clock that is wrong moves
 *   nothing, however often and under whatever clock the program is started. Time for
 *   which nobody has the store open does not count, so outcomes may live longer than
 *   they have to, never shorter. */
#include "kernel/log.h"
#include "store/sequencer_int.h"

#define KEEP_MIN_US INT64_C(1000000)  /* how exactly it is kept: a thousandth of the ttl, */
#define KEEP_MAX_US INT64_C(60000000) /* between these */

static void tell_ahead(sequencer *q, int64_t ahead_us)
{
    bool is_ahead = ahead_us >= STORE_AHEAD_US;
    ex_gauge_set(q->metrics->clock_ahead, is_ahead ? ahead_us / 1000000 : 0);
    if (is_ahead && !q->seen.has_warned)
        EX_LOG(
            EX_LOG_WARN,
            "the log's last time is ahead of the clock: recorded_at stands still until the clock "
            "has come by it",
            ex_f_i64("ahead_seconds", ahead_us / 1000000));
    q->seen.has_warned = is_ahead;
}

int64_t sequencer_batch_time(sequencer *q, int64_t last_recorded_us)
{
    int64_t now = ex_now_us(q->clock);
    q->seen.last_us = last_recorded_us;
    tell_ahead(q, last_recorded_us - now);
    return now > last_recorded_us ? now : last_recorded_us;
}

void sequencer_forget_time(sequencer *q)
{
    q->seen.us = 0;
    q->seen.told_us = -1;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Up to when time has been seen to pass. A kept time beyond the clock is of a log that has lost its
 * end; an oldest outcome beyond the log's last time is one of this batch, which may still fail.
 * Only the first of all is a beginning: a later one may have been recorded under a wrong clock. */
static ex_status look_at_time(sequencer *q, int64_t ttl_us, int64_t now_us, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    store_seen_time known = {.oldest_us = INT64_MIN};
    seen_time *seen = &q->seen;
    uint64_t now_ns = ex_monotonic_ns(q->clock);
    int64_t step = earlier(later(ttl_us / 1000, KEEP_MIN_US), KEEP_MAX_US);
    if (seen->us)
        seen->us += (int64_t)((now_ns - seen->base_ns) / 1000);
    seen->base_ns = now_ns;
    bool is_due = seen->told_us < 0 || seen->us - seen->told_us >= step;
    ex_status st =
        d->ops->keep_time ? d->ops->keep_time(d->impl, is_due ? seen->us : -1, &known, err) : EX_OK;
    if (is_due)
        seen->told_us = seen->us;
    seen->us = later(seen->us, earlier(known.kept_us, now_us));
    if (!seen->us && known.oldest_us != INT64_MIN)
        seen->us = later(0, earlier(earlier(known.oldest_us, seen->last_us), now_us));
    return st;
}

ex_status sequencer_expire_commands(sequencer *q, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    uint32_t written = q->batch.command_written;
    int64_t ttl_us = (int64_t)q->store->options.command_ttl_s * 1000000;
    int64_t now_us = ex_now_us(q->clock);
    if (written == 0)
        return EX_OK;
    ex_status st = look_at_time(q, ttl_us, now_us, err);
    /* twice what came in: the table shrinks when it has to, and no batch pays much */
    return st ? st
              : d->ops->expire_commands(d->impl, earlier(q->seen.us, now_us) - ttl_us, 2 * written,
                                        err);
}
