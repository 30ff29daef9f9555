/* log_line.c: one record as a JSON line or as a readable line, in a buffer of fixed size.
 *
 * The last bytes of the buffer are kept back for the end of the line, so a cut
 * line is still valid: text is cut at a whole character or escape, a number or
 * a name that does not fit takes its whole field with it. */
#include "kernel/log_line.h"

#include <excore/clock.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/utf8.h"

#define JSON_CUT     ",\"truncated\":true"
#define PRETTY_CUT   " truncated=true"
#define END_ROOM     (sizeof(JSON_CUT) + sizeof("\"\x1b[0m}\n")) /* covers every ending below */
#define BODY_SIZE    (EX_LOG_LINE_SIZE - END_ROOM)
#define SERVICE_ROOM 512 /* an escaped service name with its key */
#define TRACE_SHOWN  8

#define COLOUR_OFF "\x1b[0m"
#define COLOUR_DIM "\x1b[2m"

static const struct {
    const char *name, *padded, *colour;
} levels[] = {
    [EX_LOG_DEBUG] = {"debug", "DEBUG", "\x1b[36m"},
    [EX_LOG_INFO] = {"info", "INFO ", "\x1b[32m"},
    [EX_LOG_WARN] = {"warn", "WARN ", "\x1b[33m"},
    [EX_LOG_ERROR] = {"error", "ERROR", "\x1b[31m"},
};

/* ---- Pieces ---- */

/* All of `s` or nothing. */
static bool put(log_line *line, ex_slice s)
{
    if (line->is_cut || line->len + s.len > line->limit) {
        line->is_cut = true;
        return false;
    }
    if (s.len)
        memcpy(line->bytes + line->len, s.ptr, s.len);
    line->len += s.len;
    return true;
}

static bool put_text(log_line *line, const char *text)
{
    return put(line, ex_str(text));
}

/* May pass the limit: there is room for one closing quote and the end of the line. */
static void put_end(log_line *line, const char *text)
{
    size_t n = strlen(text);
    memcpy(line->bytes + line->len, text, n);
    line->len += n;
}

/* C0, DEL and C1: a terminal obeys all of them. */
static bool is_control(ex_slice character)
{
    unsigned char c = (unsigned char)character.ptr[0];
    return c < 0x20 || c == 0x7F ||
           (character.len == 2 && c == 0xC2 && (unsigned char)character.ptr[1] < 0xA0);
}

/* The escape for a character, or an empty slice when it stands for itself. */
static ex_slice escape_of(ex_slice character, bool in_quotes, char scratch[8])
{
    unsigned char c = (unsigned char)character.ptr[0];
    switch (c) {
    case '"':
        return in_quotes ? EX_S("\\\"") : EX_S("");
    case '\\':
        return in_quotes ? EX_S("\\\\") : EX_S("");
    case '\n':
        return EX_S("\\n");
    case '\r':
        return EX_S("\\r");
    case '\t':
        return EX_S("\\t");
    default:
        break;
    }
    if (!is_control(character))
        return EX_S("");
    unsigned code = character.len == 2 ? (unsigned char)character.ptr[1] : c;
    (void)snprintf(scratch, 8, "\\u%04x", code);
    return ex_slice_of(scratch, 6);
}

/* Text with escapes, cut at a character when it does not fit. */
static void put_escaped(log_line *line, ex_slice s, bool in_quotes)
{
    while (s.len) {
        char scratch[8];
        size_t n = ex_utf8_step(s);
        ex_slice escape = EX_S("\xEF\xBF\xBD");
        if (n)
            escape = escape_of(ex_slice_of(s.ptr, n), in_quotes, scratch);
        if (!put(line, escape.len ? escape : ex_slice_of(s.ptr, n)))
            return;
        n = n ? n : 1;
        s = ex_slice_of(s.ptr + n, s.len - n);
    }
}

/* False when not even the opening quote fits. */
static bool put_quoted(log_line *line, ex_slice s)
{
    if (!put_text(line, "\""))
        return false;
    put_escaped(line, s, true);
    put_end(line, "\""); /* also behind a cut text */
    return true;
}

static ex_slice double_text(double number, char scratch[32])
{
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(scratch, 32, "%.*g", digits, number);
        if (strtod(scratch, NULL) == number)
            break;
    }
    for (char *p = scratch; *p; p++) {
        if (*p == ',') /* the decimal point of the program's locale */
            *p = '.';
    }
    return ex_str(scratch);
}

/* A value that is no text; JSON knows no infinity. */
static ex_slice plain_value(const ex_log_field *f, char scratch[32])
{
    switch (f->kind) {
    case EX_FIELD_I64:
        (void)snprintf(scratch, 32, "%lld", (long long)f->as.i64);
        return ex_str(scratch);
    case EX_FIELD_U64:
        (void)snprintf(scratch, 32, "%llu", (unsigned long long)f->as.u64);
        return ex_str(scratch);
    case EX_FIELD_DOUBLE:
        return isfinite(f->as.number) ? double_text(f->as.number, scratch) : EX_S("null");
    case EX_FIELD_BOOL:
        return f->as.boolean ? EX_S("true") : EX_S("false");
    case EX_FIELD_STR:
        break;
    }
    return EX_S("null");
}

/* 2026-11-21T09:30:00.123Z */
static ex_slice time_text(int64_t us, char out[EX_TIME_TEXT_SIZE])
{
    ex_slice s = ex_time_text(us, out);
    if (s.len < 27)
        return s;
    out[23] = 'Z';
    return ex_slice_of(out, 24);
}

static void begin(log_line *line)
{
    line->len = 0;
    line->limit = BODY_SIZE;
    line->is_cut = false;
}

/* ---- JSON ---- */

static void json_field(log_line *line, const ex_log_field *f)
{
    size_t start = line->len;
    char scratch[32];
    put_text(line, ",\"");
    put_escaped(line, ex_str(f->name), true);
    put_text(line, "\":");
    bool fits = !line->is_cut;
    if (fits)
        fits = f->kind == EX_FIELD_STR ? put_quoted(line, f->as.str)
                                       : put(line, plain_value(f, scratch));
    if (!fits)
        line->len = start;
}

/* The message is cut earlier than the line, so that the service's name always follows it. */
static void json_message(log_line *line, const log_record *r)
{
    line->limit = BODY_SIZE - SERVICE_ROOM;
    put_text(line, "\",\"message\":");
    (void)put_quoted(line, r->message); /* the start of a line always fits */
    bool is_cut = line->is_cut;
    line->limit = BODY_SIZE;
    line->is_cut = false;
    ex_log_field service = ex_f_str("service_name", r->service_name);
    json_field(line, &service);
    line->is_cut |= is_cut;
}

void log_line_json(log_line *line, const log_record *r)
{
    char time[EX_TIME_TEXT_SIZE];
    begin(line);
    put_text(line, "{\"timestamp\":\"");
    put(line, time_text(r->time_us, time));
    put_text(line, "\",\"level\":\"");
    put_text(line, levels[r->level].name);
    json_message(line, r);
    for (size_t i = 0; i < r->field_count && !line->is_cut; i++)
        json_field(line, &r->fields[i]);
    if (line->is_cut)
        put_end(line, JSON_CUT);
    put_end(line, "}\n");
}

/* ---- Readable ---- */

/* True when the value can stand without quotes: visible ASCII and nothing with a meaning. */
static bool is_plain(ex_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c <= ' ' || c >= 0x7F || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.len > 0;
}

static void pretty_field(log_line *line, const ex_log_field *f)
{
    size_t start = line->len;
    char scratch[32];
    put_text(line, " ");
    put_escaped(line, ex_str(f->name), true);
    put_text(line, "=");
    bool fits = !line->is_cut;
    if (fits && f->kind != EX_FIELD_STR)
        fits = put(line, plain_value(f, scratch));
    else if (fits && is_plain(f->as.str))
        put_escaped(line, f->as.str, true);
    else if (fits)
        fits = put_quoted(line, f->as.str);
    if (!fits)
        line->len = start;
}

static const ex_log_field *find_text(const log_record *r, const char *name)
{
    for (size_t i = 0; i < r->field_count; i++) {
        if (r->fields[i].kind == EX_FIELD_STR && strcmp(r->fields[i].name, name) == 0)
            return &r->fields[i];
    }
    return NULL;
}

static void pretty_trace(log_line *line, const ex_log_field *trace)
{
    ex_slice id = trace->as.str;
    if (id.len > TRACE_SHOWN)
        id.len = TRACE_SHOWN;
    put_text(line, " [trace=");
    put_escaped(line, id, true);
    put_text(line, "]");
}

static void pretty_time(log_line *line, const log_record *r, bool has_colour)
{
    char time[EX_TIME_TEXT_SIZE];
    put_text(line, has_colour ? COLOUR_DIM " time=" : " time=");
    put(line, time_text(r->time_us, time));
    put_text(line, has_colour ? COLOUR_OFF : "");
}

void log_line_pretty(log_line *line, const log_record *r, bool has_colour)
{
    const ex_log_field *trace = find_text(r, "trace_id");
    const ex_log_field *error = find_text(r, "error");
    begin(line);
    put_text(line, has_colour ? levels[r->level].colour : "");
    put_text(line, levels[r->level].padded);
    put_text(line, has_colour ? COLOUR_OFF " " : " ");
    put_escaped(line, r->message, false);
    if (trace)
        pretty_trace(line, trace);
    pretty_time(line, r, has_colour);
    for (size_t i = 0; i < r->field_count && !line->is_cut; i++) {
        if (&r->fields[i] != trace && &r->fields[i] != error)
            pretty_field(line, &r->fields[i]);
    }
    if (error && !line->is_cut)
        pretty_field(line, error);
    if (line->is_cut)
        put_end(line, PRETTY_CUT);
    if (has_colour)
        put_end(line, COLOUR_OFF); /* a cut may have left a colour on */
    put_end(line, "\n");
}
