/* log_line.h: building one log line in a fixed buffer. Private to log*.c. */
#ifndef EXCORE_KERNEL_LOG_LINE_H
#define EXCORE_KERNEL_LOG_LINE_H

#include "kernel/log.h"

typedef struct log_line {
    size_t len;
    size_t limit; /* of the body; the rest is for closing the line */
    bool is_cut;  /* something did not fit: nothing more is added but the end mark */
    char bytes[EX_LOG_LINE_SIZE];
} log_line;

typedef struct log_record {
    ex_log_level level;
    int64_t time_us;
    ex_slice service_name;
    ex_slice message;
    const ex_log_field *fields;
    size_t field_count;
} log_record;

/** Both end the line with a newline. */
void log_line_json(log_line *line, const log_record *r);
void log_line_pretty(log_line *line, const log_record *r, bool has_colour);

#endif
