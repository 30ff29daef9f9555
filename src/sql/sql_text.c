/* sql_text.c: see sql_text.h. One pass over the text; a named parameter gets the next number at its
 * first use. */
#include "sql/sql_text.h"

#include <ctype.h>

typedef struct scan {
    const char *at, *end;
    char prefix;
    sql_text *out;
    bool has_number, has_name, is_out_of_range;
} scan;

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static bool follows(const scan *s, const char *mark)
{
    size_t n = strlen(mark);
    return (size_t)(s->end - s->at) >= n && memcmp(s->at, mark, n) == 0;
}

static void copy(scan *s, size_t n)
{
    ex_buf_put(&s->out->sql, ex_slice_of(s->at, n));
    s->at += n;
}

/* Up to and with `mark`, or the end of the text. */
static void copy_past(scan *s, size_t skip, const char *mark, size_t mark_len)
{
    const char *from = s->at + skip;
    const char *found = memmem(from, (size_t)(s->end - from), mark, mark_len);
    copy(s, (size_t)((found ? found + mark_len : s->end) - s->at));
}

uint32_t sql_text_find(const sql_text *t, ex_slice name)
{
    const char *p = t->names.ptr;
    for (uint32_t i = 0; i < t->name_count; i++, p += strlen(p) + 1) {
        if (ex_slice_is(name, p))
            return i + 1;
    }
    return 0;
}

ex_slice sql_text_name(const sql_text *t, uint32_t at)
{
    const char *p = t->names.ptr;
    if (at == 0 || at > t->name_count)
        return (ex_slice){NULL, 0};
    for (uint32_t i = 1; i < at; i++)
        p += strlen(p) + 1;
    return ex_str(p);
}

static void put_param(scan *s, uint32_t number)
{
    if (number > SQL_PARAMS_MAX || number == 0)
        s->is_out_of_range = true;
    if (number > s->out->count)
        s->out->count = number;
    ex_buf_put_char(&s->out->sql, s->prefix);
    ex_buf_put_u64(&s->out->sql, number);
}

static void named(scan *s)
{
    const char *begin = ++s->at;
    while (s->at < s->end && is_word(*s->at))
        s->at++;
    ex_slice name = ex_slice_of(begin, (size_t)(s->at - begin));
    uint32_t number = sql_text_find(s->out, name);
    if (!number) {
        ex_buf_put(&s->out->names, name);
        ex_buf_put_char(&s->out->names, '\0');
        if (ex_buf_status(&s->out->names))
            return;
        number = ++s->out->name_count;
    }
    s->has_name = true;
    put_param(s, number);
}

static void numbered(scan *s)
{
    uint32_t number = 0;
    for (s->at++; s->at < s->end && isdigit((unsigned char)*s->at); s->at++)
        number = number > SQL_PARAMS_MAX ? number : number * 10 + (uint32_t)(*s->at - '0');
    s->has_number = true;
    put_param(s, number);
}

/* $tag$ … $tag$, or a $ that means nothing to us. */
static void dollar(scan *s)
{
    const char *p = s->at + 1;
    if (p < s->end && isdigit((unsigned char)*p)) {
        numbered(s);
        return;
    }
    while (p < s->end && is_word(*p))
        p++;
    if (p < s->end && *p == '$')
        copy_past(s, (size_t)(p + 1 - s->at), s->at, (size_t)(p + 1 - s->at));
    else
        copy(s, 1);
}

static void next(scan *s)
{
    char c = *s->at;
    if (c == '\'' || c == '"')
        copy_past(s, 1, &c, 1); /* a doubled quote is two quoted texts side by side */
    else if (follows(s, "--"))
        copy_past(s, 2, "\n", 1);
    else if (follows(s, "/*"))
        copy_past(s, 2, "*/", 2);
    else if (follows(s, "::"))
        copy(s, 2);
    else if (c == ':' && s->at + 1 < s->end && is_word(s->at[1]))
        named(s);
    else if (c == '$')
        dollar(s);
    else if (is_word(c)) {
        const char *p = s->at;
        while (p < s->end && (is_word(*p) || *p == '$')) /* a name may hold a $ */
            p++;
        copy(s, (size_t)(p - s->at));
    } else
        copy(s, 1);
}

ex_status sql_text_init(sql_text *ret, ex_slice text, char prefix, ex_error *err)
{
    sql_text t = {0};
    ex_buf_init(&t.sql, 0);
    ex_buf_init(&t.names, 0);
    scan s = {.at = text.ptr, .end = text.ptr + text.len, .prefix = prefix, .out = &t};
    while (s.at < s.end)
        next(&s);
    t.len = t.sql.len;
    ex_buf_put_char(&t.sql, '\0');
    ex_status st = ex_buf_status(&t.sql) ? ex_buf_status(&t.sql) : ex_buf_status(&t.names);
    if (st)
        st = ex_raise(err, st, "no memory for a statement");
    else if (s.has_name && s.has_number)
        st = ex_raise(err, EX_EINVAL, "a statement mixes $1 and :name");
    else if (s.is_out_of_range)
        st = ex_raise(err, EX_EINVAL, "a statement's parameters are not within 1 to %u",
                      SQL_PARAMS_MAX);
    if (st)
        sql_text_done(&t);
    else
        *ret = t;
    return st;
}

void sql_text_done(sql_text *t)
{
    ex_buf_done(&t->sql);
    ex_buf_done(&t->names);
}
