/* json_write.c: JSON strings and numbers into a buffer, and the writer that keeps commas. */
#include <excore/json.h>

#include "kernel/json_number.h"
#include "kernel/json_scan.h"
#include "kernel/utf8.h"

#include <assert.h>
#include <math.h>

/* ---- Strings and numbers ---- */

/* Punctuation is half of all puts: spare it the call while there is room. */
static inline void put_byte(ex_buf *out, char c)
{
    if (!out->status && out->len < out->cap)
        out->ptr[out->len++] = c;
    else
        ex_buf_put_char(out, c);
}

/* A byte that json_plain_end stopped at and that is no part of a UTF-8 sequence. */
static void put_special(ex_buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c >= 0x80) {
        ex_buf_put(out, EX_S("\xEF\xBF\xBD")); /* U+FFFD */
    } else if (c >= 0x20 || names[c]) {
        char pair[2] = {'\\', c >= 0x20 ? (char)c : names[c]};
        ex_buf_put(out, ex_slice_of(pair, sizeof(pair)));
    } else {
        char code[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        ex_buf_put(out, ex_slice_of(code, sizeof(code)));
    }
}

/* From the first byte that needs a look. */
static void put_rest(ex_buf *out, const char *at, const char *end)
{
    const char *run = at;
    while (at < end) {
        size_t sequence =
            (unsigned char)*at >= 0x80 ? ex_utf8_step(ex_slice_of(at, (size_t)(end - at))) : 0;
        if (sequence) {
            at += sequence;
        } else {
            ex_buf_put(out, ex_slice_of(run, (size_t)(at - run)));
            put_special(out, (unsigned char)*at);
            run = ++at;
        }
        at = json_plain_end(at, end);
    }
    ex_buf_put(out, ex_slice_of(run, (size_t)(end - run)));
}

void ex_json_put_string(ex_buf *out, ex_slice text)
{
    if (!ex_buf_reserve(out, text.len + 2)) /* all of it, when nothing needs an escape */
        return;
    const char *at = text.len ? text.ptr : "", *end = at + text.len;
    const char *stop = json_plain_end(at, end);
    char *place = out->ptr + out->len;
    size_t plain = (size_t)(stop - at);
    place[0] = '"';
    memcpy(place + 1, at, plain);
    out->len += 1 + plain;
    if (stop == end) {
        place[1 + plain] = '"';
        out->len++;
        return;
    }
    put_rest(out, stop, end);
    ex_buf_put_char(out, '"');
}

void ex_json_put_double(ex_buf *out, double number)
{
    char text[JSON_NUMBER_SIZE];
    if (isfinite(number))
        ex_buf_put(out, ex_slice_of(text, json_number_write(number, text)));
    else
        ex_buf_put(out, EX_S("null"));
}

/* ---- The writer ---- */

void ex_json_writer_init(ex_json_writer *w, ex_buf *out)
{
    w->out = out;
    w->depth = 0;
    w->needs_comma[0] = false;
    w->after_key = false;
}

static void before_value(ex_json_writer *w)
{
    if (w->depth > EX_JSON_WRITER_DEPTH) /* already failed, see begin */
        return;
    if (w->needs_comma[w->depth] && !w->after_key)
        put_byte(w->out, ',');
    w->needs_comma[w->depth] = true;
    w->after_key = false;
}

static void begin(ex_json_writer *w, char bracket)
{
    before_value(w);
    put_byte(w->out, bracket);
    if (++w->depth <= EX_JSON_WRITER_DEPTH)
        w->needs_comma[w->depth] = false;
    else if (!w->out->status)
        w->out->status = EX_ETOOLARGE;
}

static void end(ex_json_writer *w, char bracket)
{
    assert(w->depth > 0 && !w->after_key);
    w->depth--;
    put_byte(w->out, bracket);
}

void ex_json_begin_object(ex_json_writer *w)
{
    begin(w, '{');
}

void ex_json_end_object(ex_json_writer *w)
{
    end(w, '}');
}

void ex_json_begin_array(ex_json_writer *w)
{
    begin(w, '[');
}

void ex_json_end_array(ex_json_writer *w)
{
    end(w, ']');
}

void ex_json_key(ex_json_writer *w, ex_slice key)
{
    assert(w->depth > 0 && !w->after_key);
    before_value(w);
    ex_json_put_string(w->out, key);
    put_byte(w->out, ':');
    w->after_key = true;
}

void ex_json_null(ex_json_writer *w)
{
    ex_json_raw(w, EX_S("null"));
}

void ex_json_bool(ex_json_writer *w, bool value)
{
    ex_json_raw(w, value ? EX_S("true") : EX_S("false"));
}

void ex_json_i64(ex_json_writer *w, int64_t value)
{
    before_value(w);
    ex_buf_put_i64(w->out, value);
}

void ex_json_u64(ex_json_writer *w, uint64_t value)
{
    before_value(w);
    ex_buf_put_u64(w->out, value);
}

void ex_json_double(ex_json_writer *w, double value)
{
    before_value(w);
    ex_json_put_double(w->out, value);
}

void ex_json_string(ex_json_writer *w, ex_slice value)
{
    before_value(w);
    ex_json_put_string(w->out, value);
}

void ex_json_raw(ex_json_writer *w, ex_slice json)
{
    before_value(w);
    ex_buf_put(w->out, json);
}

/* ---- A key and its value ---- */

#define MEMBER(name, value_type)                                                                   \
    void ex_json_##name##_member(ex_json_writer *w, ex_slice key, value_type value)                \
    {                                                                                              \
        ex_json_key(w, key);                                                                       \
        ex_json_##name(w, value);                                                                  \
    }
MEMBER(bool, bool)
MEMBER(i64, int64_t)
MEMBER(u64, uint64_t)
MEMBER(double, double)
MEMBER(string, ex_slice)
MEMBER(raw, ex_slice)
#undef MEMBER
