/* sequencer_time.c: the time of a batch, and which outcomes of command ids are old.
 *
 * The wall clock may be wrong for a while: it jumps ahead, and is set back. Two
 * things follow from it:
 *
 * - recorded_at never goes back, so that what is recorded after the clock was set
 *   right carries the log's last time until the clock has come by it. That is
 *   told once, and the metric says how far the log is ahead.
 * - an outcome that is forgotten early lets a repeated command run twice. So
 *   outcomes do not age by the wall clock alone but by time that has been seen to
 *   pass: the monotonic clock since the first batch, counted from the earlier of
 *   the wall clock and the log's last time then. A clock that jumps ahead moves
 *   nothing, neither does one that is wrong at the start, and one that is set
 *   back makes outcomes live longer. Nothing is forgotten soon after the start:
 *   whoever restarts under a wrong clock has time to notice. Time for which the
 *   program did not run does not count either, so outcomes may live longer than
 *   they have to, never shorter. */
#include "kernel/log.h"
#include "store/sequencer_int.h"

#define SETTLE_US INT64_C(3600000000) /* after the start nothing is forgotten, or for the ttl */

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
    if (!q->seen.is_set) {
        bool is_log_earlier = last_recorded_us && last_recorded_us < now;
        q->seen = (seen_time){.is_set = true,
                              .base_us = is_log_earlier ? last_recorded_us : now,
                              .base_ns = ex_monotonic_ns(q->clock)};
    }
    tell_ahead(q, last_recorded_us - now);
    return now > last_recorded_us ? now : last_recorded_us;
}

ex_status sequencer_expire_commands(sequencer *q, ex_error *err)
{
    const store_driver *d = &q->store->driver;
    uint32_t written = q->batch.command_written;
    int64_t ttl_us = (int64_t)q->store->options.command_ttl_s * 1000000;
    int64_t passed_us = (int64_t)((ex_monotonic_ns(q->clock) - q->seen.base_ns) / 1000);
    int64_t seen_us = q->seen.base_us + passed_us, now = ex_now_us(q->clock);
    if (written == 0 || passed_us < (ttl_us < SETTLE_US ? ttl_us : SETTLE_US))
        return EX_OK;
    /* twice what came in: the table shrinks when it has to, and no batch pays much */
    return d->ops->expire_commands(d->impl, (seen_us < now ? seen_us : now) - ttl_us, 2 * written,
                                   err);
}
