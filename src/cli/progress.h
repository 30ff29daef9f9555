/* progress.h: long work on standard error: a bar on a terminal, a line now and then elsewhere.
 *
 * A piece of work is a phase: a label, a number that rises, a number where it ends. */
#ifndef EXCORE_CLI_PROGRESS_H
#define EXCORE_CLI_PROGRESS_H

#include <excore/base.h>

#define PROGRESS_TEXT_SIZE 160

typedef struct progress {
    bool is_terminal;
    const char *label; /* of the phase; NULL: none */
    uint64_t first;    /* done when the phase began */
    uint64_t started_ns, shown_ns;
    bool has_bar; /* stands on the terminal's line */
} progress;

void progress_init(progress *p);
/** Show, at most a few times a second (a terminal) or every few seconds (elsewhere). Another label
 *  than before begins a phase. @param label static @param total 0: not known */
void progress_show(progress *p, const char *label, uint64_t done, uint64_t total);
/** Take the bar away, so that other text may be printed. */
void progress_clear(progress *p);

/** The text without its place: "copying  [####----]  50%  500/1,000  120/s  4 s left".
 *  @param rate a second; 0: not known yet */
void progress_text(char out[PROGRESS_TEXT_SIZE], const char *label, uint64_t done, uint64_t total,
                   double rate, bool has_bar);

#endif
