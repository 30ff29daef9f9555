/* progress.c: see progress.h. */
#include "cli/progress.h"

#include <excore/clock.h>

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define BAR_WIDTH   20
#define TERMINAL_NS UINT64_C(100000000)
#define LINE_NS     UINT64_C(5000000000)

static uint64_t now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system());
}

void progress_init(progress *p)
{
    *p = (progress){.is_terminal = isatty(STDERR_FILENO)};
}

/* "1h02m", "3m20s", "12 s" */
static void duration_text(char out[32], double seconds)
{
    uint64_t s = seconds < 1e9 ? (uint64_t)(seconds + 0.5) : 1000000000;
    if (s >= 3600)
        (void)snprintf(out, 32, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    else if (s >= 60)
        (void)snprintf(out, 32, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    else
        (void)snprintf(out, 32, "%" PRIu64 " s", s);
}

static void bar_text(char out[BAR_WIDTH + 4], double share)
{
    int filled = (int)(share * BAR_WIDTH);
    out[0] = '[';
    for (int i = 0; i < BAR_WIDTH; i++)
        out[i + 1] = i < filled ? '#' : '-';
    memcpy(out + BAR_WIDTH + 1, "] ", 3);
}

void progress_text(char out[PROGRESS_TEXT_SIZE], const char *label, uint64_t done, uint64_t total,
                   double rate, bool has_bar)
{
    char bar[BAR_WIDTH + 4] = "", left[48] = "", duration[32];
    if (total == 0) {
        (void)snprintf(out, PROGRESS_TEXT_SIZE, "%s %" PRIu64, label, done);
        return;
    }
    double share = done < total ? (double)done / (double)total : 1;
    if (has_bar)
        bar_text(bar, share);
    if (rate > 0 && done < total) {
        duration_text(duration, (double)(total - done) / rate);
        (void)snprintf(left, sizeof(left), "  %s left", duration);
    }
    (void)snprintf(out, PROGRESS_TEXT_SIZE, "%s %s%3d%%  %" PRIu64 "/%" PRIu64 "  %.0f/s%s", label,
                   bar, (int)(share * 100), done, total, rate, left);
}

void progress_clear(progress *p)
{
    if (p->has_bar)
        fputs("\r\x1b[K", stderr);
    p->has_bar = false;
}

static void begin_phase(progress *p, const char *label, uint64_t done, uint64_t now)
{
    p->label = label;
    p->first = done;
    p->started_ns = p->shown_ns = now;
}

void progress_show(progress *p, const char *label, uint64_t done, uint64_t total)
{
    char text[PROGRESS_TEXT_SIZE];
    uint64_t now = now_ns();
    if (p->label != label || done < p->first)
        begin_phase(p, label, done, now);
    if (now - p->shown_ns < (p->is_terminal ? TERMINAL_NS : LINE_NS))
        return;
    p->shown_ns = now;
    double seconds = (double)(now - p->started_ns) / 1e9;
    double rate = seconds > 0 ? (double)(done - p->first) / seconds : 0;
    progress_text(text, label, done, total, rate, p->is_terminal);
    fprintf(stderr, p->is_terminal ? "\r%s\x1b[K" : "%s\n", text);
    p->has_bar = p->is_terminal;
}
