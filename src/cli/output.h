/* output.h: events on standard output: lines for people, JSON lines, or bare data.
 *
 * A line for people is cut to the terminal's width, and control characters of
 * the data never reach the terminal. */
#ifndef EXCORE_CLI_OUTPUT_H
#define EXCORE_CLI_OUTPUT_H

#include "cli/args.h"

#include <excore/buf.h>
#include <excore/event.h>

typedef enum output_form {
    OUTPUT_LINES, /* time, position, stream@version, type, data */
    OUTPUT_JSON,  /* one object a line, the server's form */
    OUTPUT_DATA,  /* the data byte for byte, a newline after each */
} output_form;

typedef struct output {
    output_form form;
    int columns; /* of the terminal; 0: no terminal, lines are not cut */
    bool has_colours;
    bool is_terminal;
    int stream_width, type_width, position_width; /* grow, so that columns line up */
    ex_buf line;
    uint64_t count;   /* events printed */
    uint64_t limit;   /* of them; 0: none */
    ex_status status; /* EX_ENOMEM: an event could not be printed */
} output;

void output_init(output *o, output_form form, uint64_t limit);
void output_done(output *o);

/** A target_event_fn: print the event, or flush when there is none. False when the limit is
 *  reached, or nobody reads standard output any more. */
bool output_event(void *ctx, const ex_event *event, ex_slice json);

/** The options of the forms, for a verb's table, and the form that they choose. */
#define OUTPUT_OPTIONS                                                                             \
    {0, "json", ARG_FLAG, NULL, "print one JSON object a line", NULL},                             \
    {                                                                                              \
        0, "raw", ARG_FLAG, NULL, "print the data only, byte for byte, one event a line", NULL     \
    }
output_form output_form_of(const args *a);
/** @return EX_OK, EX_EINVAL (misuse: two forms) */
EX_NODISCARD ex_status output_check(const args *a, ex_error *err);

/** True when colours are wanted on this descriptor: a terminal, and NO_COLOR is not set. */
bool output_wants_colours(int fd);

/** Append `text` fit for one line of a terminal: control characters escaped, bad UTF-8 as U+FFFD,
 *  cut to `columns` (negative: not) with an ellipsis. Returns the columns taken. */
int output_put_clean(ex_buf *out, ex_slice text, int columns);

#endif
