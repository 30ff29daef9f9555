/* config_fault.c: one line for each thing wrong with a configuration, with a guess at what was
 * meant. */
#include "kernel/config_int.h"

#include <excore/json.h>

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "kernel/utf8.h"

#define SHOWN_BYTES 64 /* of a value, before its escapes */

/* Names come from files, variables and flags: what is no visible text becomes '?', so that a fault
 * is one line whatever was in them. */
static void put_visible(ex_buf *b, ex_slice text)
{
    while (text.len) {
        size_t n = ex_utf8_step(text);
        unsigned char c = (unsigned char)text.ptr[0];
        if (n == 0 || c < 0x20 || c == 0x7F)
            ex_buf_put_char(b, '?');
        else
            ex_buf_put(b, ex_slice_of(text.ptr, n));
        n = n ? n : 1;
        text = ex_slice_of(text.ptr + n, text.len - n);
    }
}

static void put_where(ex_buf *b, const config_where *w)
{
    put_visible(b, w->is_flag ? EX_S("flag") : ex_str(w->variable ? w->variable : w->file));
    if (w->file && w->line)
        ex_buf_printf(b, ":%zu", w->line);
    ex_buf_put_str(b, ": ");
}

static void keep_first(config_faults *f, ex_slice line)
{
    size_t n = 0;
    while (n < line.len) {
        size_t step = ex_utf8_step(ex_slice_of(line.ptr + n, line.len - n));
        if (n + step + (step == 0) >= sizeof(f->first))
            break;
        n += step ? step : 1;
    }
    memcpy(f->first, line.ptr, n);
    f->first[n] = '\0';
}

bool config_faults_full(const config_faults *f)
{
    return f->count > CONFIG_FAULTS_MAX;
}

void config_fault(config_faults *f, const config_where *w, const char *fmt, ...)
{
    f->status = f->status ? f->status : EX_EINVAL;
    f->count++;
    if (f->count == CONFIG_FAULTS_MAX + 1 && f->out)
        ex_buf_put_str(f->out, "too many faults: the rest is not listed\n");
    if (config_faults_full(f))
        return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt,
                    args); /* names and shown values are bounded: it fits */
    va_end(args);
    ex_buf line;
    ex_buf_init(&line, 0);
    put_where(&line, w);
    put_visible(&line, ex_str(text));
    if (f->count == 1)
        keep_first(f, ex_buf_slice(&line));
    if (f->out) {
        ex_buf_put(f->out, ex_buf_slice(&line));
        ex_buf_put_char(f->out, '\n');
    }
    ex_buf_done(&line);
}

const char *config_show(ex_slice value, bool is_secret, char out[CONFIG_SHOWN_SIZE])
{
    if (is_secret)
        return "***";
    size_t n = 0;
    while (n < value.len) {
        size_t step = ex_utf8_step(ex_slice_of(value.ptr + n, value.len - n));
        if (n + (step ? step : 1) > SHOWN_BYTES)
            break;
        n += step ? step : 1;
    }
    ex_buf b;
    ex_buf_init(&b, 0);
    ex_json_put_string(&b, ex_slice_of(value.ptr, n));
    ex_buf_put_str(&b, n < value.len ? "..." : "");
    /* 64 bytes can become 384 as escapes: then only their number is told; messages cut what is
     * shown at 70 bytes and must not cut a character */
    if (ex_buf_status(&b) || b.len > SHOWN_BYTES + strlen("\"\"..."))
        (void)snprintf(out, CONFIG_SHOWN_SIZE, "a text of %zu bytes", value.len);
    else
        (void)snprintf(out, CONFIG_SHOWN_SIZE, "%.*s", EX_ARG(ex_buf_slice(&b)));
    ex_buf_done(&b);
    return out;
}

void config_variable_name(const char *prefix, const char *key, char out[CONFIG_NAME_SIZE + 32])
{
    int n = snprintf(out, CONFIG_NAME_SIZE + 32, "%s%s", prefix, key);
    for (size_t i = strlen(prefix); i < (size_t)n && out[i]; i++)
        out[i] = out[i] == '.' ? '_' : (char)toupper((unsigned char)out[i]);
}

/* ---- What was meant ---- */

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits between two names, a swap of neighbours counting as two; names are cut to CONFIG_NAME_SIZE.
 */
static size_t distance(ex_slice a, ex_slice b)
{
    size_t row[CONFIG_NAME_SIZE + 33];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a.ptr[i - 1] != b.ptr[j - 1]));
            diagonal = above;
        }
    }
    return row[b.len];
}

/* True when `name` ends with ".wrong": the section was forgotten. */
static bool is_last_part(ex_slice name, ex_slice wrong)
{
    return name.len > wrong.len + 1 && name.ptr[name.len - wrong.len - 1] == '.' &&
           ex_slice_eq(ex_slice_of(name.ptr + name.len - wrong.len, wrong.len), wrong);
}

const ex_config_key *config_suggest(const ex_config_key *keys, size_t count, ex_slice wrong,
                                    const char *prefix)
{
    if (wrong.len == 0 || wrong.len >= CONFIG_NAME_SIZE)
        return NULL;
    const ex_config_key *best = NULL;
    size_t shared = prefix ? strlen(prefix) : 0;
    size_t limit = 2 + (wrong.len - (shared < wrong.len ? shared : 0)) / 6;
    for (size_t i = 0; i < count; i++) {
        char variable[CONFIG_NAME_SIZE + 32];
        ex_slice name = ex_str(keys[i].name);
        if (prefix) {
            config_variable_name(prefix, keys[i].name, variable);
            name = ex_str(variable);
        }
        if (!best && is_last_part(name, wrong))
            best = &keys[i];
        size_t d = distance(wrong, name);
        if (d <= limit) {
            best = &keys[i];
            limit = d ? d - 1 : 0;
        }
    }
    return best;
}
