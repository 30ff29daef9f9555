/* output.c: see output.h. */
#include "cli/output.h"

#include "api/event_json.h"
#include "store/content_type.h"

#include <errno.h>
#include <excore/clock.h>
#include <excore/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STREAM_WIDTH_MAX 40
#define TYPE_WIDTH_MAX   28
#define DATA_WIDTH_MIN   10
#define LINE_LIMIT_BYTES ((size_t)4 << 30)

bool output_wants_colours(int fd)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(fd) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

output_form output_form_of(const args *a)
{
    return args_has(a, "json") ? OUTPUT_JSON : args_has(a, "raw") ? OUTPUT_DATA : OUTPUT_LINES;
}

ex_status output_check(const args *a, ex_error *err)
{
    if (args_has(a, "json") && args_has(a, "raw"))
        return ex_raise(err, EX_EINVAL, "--json and --raw exclude each other");
    return EX_OK;
}

static int terminal_columns(void)
{
    struct winsize size = {0};
    if (!isatty(STDOUT_FILENO))
        return 0;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

void output_init(output *o, output_form form, uint64_t limit)
{
    *o = (output){.form = form, .limit = limit};
    o->is_terminal = isatty(STDOUT_FILENO);
    o->columns = terminal_columns();
    o->has_colours = output_wants_colours(STDOUT_FILENO);
    o->stream_width = 12;
    o->type_width = 12;
    o->position_width = 4;
    ex_buf_init(&o->line, LINE_LIMIT_BYTES);
}

void output_done(output *o)
{
    ex_buf_done(&o->line);
}

/* ---- Text for a terminal ---- */

/* Length of the well-formed UTF-8 sequence at `at`, its code point in *ret; 0 when there is none.
 */
static size_t utf8_at(ex_slice s, size_t at, uint32_t *ret)
{
    unsigned char c = (unsigned char)s.ptr[at];
    size_t len = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;
    if (len == 0 || len > s.len - at || !ex_utf8_is_valid(ex_slice_of(s.ptr + at, len)))
        return 0;
    uint32_t code = len == 1 ? c : c & (0x7fU >> len);
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)s.ptr[at + i] & 0x3f);
    *ret = code;
    return len;
}

/* Columns of a character: two for East Asian wide ones and emoji, none for combining ones. */
static int width_of(uint32_t code)
{
    static const struct {
        uint32_t first, last;
        int width;
    } ranges[] = {
        {0x300, 0x36f, 0},   {0x200b, 0x200f, 0}, {0xfe00, 0xfe0f, 0},   {0x1100, 0x115f, 2},
        {0x2e80, 0xa4cf, 2}, {0xac00, 0xd7a3, 2}, {0xf900, 0xfaff, 2},   {0xfe30, 0xfe6f, 2},
        {0xff00, 0xff60, 2}, {0xffe0, 0xffe6, 2}, {0x1f300, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return ranges[i].width;
    return 1;
}

/* Controls, and the marks that turn the direction of what follows. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* One character, cleaned, into `text`; returns its columns. */
static int clean_one(ex_slice s, size_t *at, char *text, size_t size)
{
    uint32_t code = 0;
    size_t len = utf8_at(s, *at, &code);
    if (len == 0) {
        *at += 1;
        (void)snprintf(text, size, "\xef\xbf\xbd");
        return 1;
    }
    if (is_control(code)) {
        static const char names[] = "abtnvfr";
        *at += len;
        if (code >= 7 && code <= 13)
            return snprintf(text, size, "\\%c", names[code - 7]);
        return code < 0x80 ? snprintf(text, size, "\\x%02x", (unsigned)code)
                           : snprintf(text, size, "\\u%04x", (unsigned)code);
    }
    memcpy(text, s.ptr + *at, len);
    text[len] = '\0';
    *at += len;
    return width_of(code);
}

int output_put_clean(ex_buf *out, ex_slice text, int columns)
{
    int used = 0;
    size_t cut_len = out->len; /* where the ellipsis goes when the text turns out too long */
    int cut_used = 0;
    for (size_t at = 0; at < text.len;) {
        char one[16];
        int width = clean_one(text, &at, one, sizeof(one));
        if (columns >= 0 && used + width > columns) {
            out->len = cut_len;
            if (columns > 0)
                ex_buf_put_str(out, "\xe2\x80\xa6");
            return cut_used + (columns > 0);
        }
        ex_buf_put_str(out, one);
        used += width;
        if (used < columns) {
            cut_len = out->len;
            cut_used = used;
        }
    }
    return used;
}

/* ---- The line of an event ---- */

static void put_colour(output *o, const char *code)
{
    if (o->has_colours)
        ex_buf_printf(&o->line, "\x1b[%sm", code);
}

/* A column that is at least *width wide, and grows up to `limit` for the lines that follow. */
static int put_column(output *o, ex_slice text, int *width, int limit, const char *colour)
{
    put_colour(o, colour);
    int used = output_put_clean(&o->line, text, -1);
    put_colour(o, "0");
    if (used > *width)
        *width = used < limit ? used : limit;
    int padding = *width > used ? *width - used : 0;
    ex_buf_printf(&o->line, "%*s", padding + 2, "");
    return used + padding + 2;
}

static void put_data(output *o, const ex_event *e, int columns)
{
    if (ex_content_is_json(e->content_type) || ex_slice_starts(e->content_type, EX_S("text/"))) {
        (void)output_put_clean(&o->line, e->data, columns);
        return;
    }
    char text[64 + EX_TYPE_NAME_MAX];
    (void)snprintf(text, sizeof(text), "<%zu bytes of %.*s>", e->data.len,
                   EX_ARG(e->content_type)); /* cut is fine */
    (void)output_put_clean(&o->line, ex_str(text), columns);
}

static void put_line(output *o, const ex_event *e)
{
    char text[EX_TIME_TEXT_SIZE];
    char name[EX_STREAM_NAME_MAX + 24];
    (void)ex_time_text(e->recorded_at_us, text);
    text[10] = ' '; /* 2026-11-21 09:30:00.123Z */
    put_colour(o, "2");
    ex_buf_printf(&o->line, "%.23sZ", text);
    put_colour(o, "0");
    ex_buf_put_str(&o->line, "  ");
    char number[24];
    (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)e->position);
    int used = 26 + put_column(o, ex_str(number), &o->position_width, 12, "33");
    (void)snprintf(name, sizeof(name), "%.*s@%llu", EX_ARG(e->stream),
                   (unsigned long long)e->version);
    used += put_column(o, ex_str(name), &o->stream_width, STREAM_WIDTH_MAX, "36");
    used += put_column(o, e->type, &o->type_width, TYPE_WIDTH_MAX, "1");
    int left = o->columns - used;
    put_data(o, e, o->columns == 0 ? -1 : left < DATA_WIDTH_MIN ? DATA_WIDTH_MIN : left);
}

/* The data may hold line feeds between its tokens; inside texts JSON has none. */
static void put_json(output *o, const ex_event *e, ex_slice json)
{
    if (json.len > 0)
        ex_buf_put(&o->line, json);
    else
        event_json_put(&o->line, e, EVENT_PLAIN);
    for (size_t i = 0; i < o->line.len; i++)
        if (o->line.ptr[i] == '\n' || o->line.ptr[i] == '\r')
            o->line.ptr[i] = ' ';
}

/* False when the other end of a pipe is gone; a write would be the next to notice. */
static bool is_read(void)
{
    struct pollfd p = {.fd = STDOUT_FILENO};
    return poll(&p, 1, 0) <= 0 || !(p.revents & POLLERR);
}

bool output_event(void *ctx, const ex_event *event, ex_slice json)
{
    output *o = ctx;
    if (!event)
        return fflush(stdout) == 0 && is_read();
    ex_buf_reset(&o->line);
    if (o->form == OUTPUT_LINES)
        put_line(o, event);
    else if (o->form == OUTPUT_JSON)
        put_json(o, event, json);
    else
        ex_buf_put(&o->line, event->data);
    ex_buf_put_char(&o->line, '\n');
    o->status = ex_buf_status(&o->line);
    if (o->status)
        return false;
    fwrite(o->line.ptr, 1, o->line.len, stdout);
    o->count++;
    return !ferror(stdout) && (o->limit == 0 || o->count < o->limit);
}
