/* sqlite_like.c: see sqlite_like.h.
 *
 * Only the last % can have to take more: what an earlier one took ends where the last one begins.
 * So two marks are enough to go back to, and no recursion. */
#include "sql/sqlite/sqlite_like.h"

#include "sql/sqlite/sqlite_status.h"

typedef struct pattern {
    ex_slice text;
    ex_slice escape; /* one character, or none */
} pattern;

static size_t character_len(ex_slice text, size_t at)
{
    size_t end = at + 1;
    while (end < text.len && ((unsigned char)text.ptr[end] & 0xC0) == 0x80)
        end++;
    return end - at;
}

static bool is_escape(const pattern *p, size_t at)
{
    return p->escape.len && p->text.len - at >= p->escape.len &&
           memcmp(p->text.ptr + at, p->escape.ptr, p->escape.len) == 0;
}

typedef enum one { NO_MATCH, MATCH, BROKEN } one;

/* One character of the pattern, which is no %, with one of the text. */
static one match_one(const pattern *p, size_t *at, ex_slice text, size_t *text_at)
{
    size_t from = *at;
    bool is_escaped = is_escape(p, from);
    if (*text_at >= text.len)
        return NO_MATCH;
    if (is_escaped)
        from += p->escape.len;
    if (from >= p->text.len)
        return BROKEN;
    size_t len = character_len(p->text, from), text_len = character_len(text, *text_at);
    bool is_any = !is_escaped && p->text.ptr[from] == '_';
    if (!is_any && (len != text_len || memcmp(p->text.ptr + from, text.ptr + *text_at, len) != 0))
        return NO_MATCH;
    *at = from + len;
    *text_at += text_len;
    return MATCH;
}

static one like(const pattern *p, ex_slice text)
{
    size_t at = 0, text_at = 0, after_percent = 0, percent_took = 0;
    bool has_percent = false;
    while (text_at < text.len || at < p->text.len) {
        if (at < p->text.len && p->text.ptr[at] == '%' && !is_escape(p, at)) {
            has_percent = true;
            after_percent = ++at;
            percent_took = text_at;
            continue;
        }
        one m = at < p->text.len ? match_one(p, &at, text, &text_at) : NO_MATCH;
        if (m == MATCH)
            continue;
        if (m == BROKEN || !has_percent || text_at >= text.len)
            return m; /* with more taken by the % there is even less text */
        percent_took += character_len(text, percent_took);
        at = after_percent;
        text_at = percent_took;
    }
    return MATCH;
}

static ex_slice text_of(sqlite3_value *v)
{
    const void *ptr = sqlite3_value_text(v); /* first: it may convert */
    return ex_slice_of(ptr, ptr ? (size_t)sqlite3_value_bytes(v) : 0);
}

static void refuse(sqlite3_context *ctx, const char *why)
{
    sqlite3_result_error(ctx, why, -1);
    sqlite3_result_error_code(ctx, SQLITE_MISMATCH); /* keeps the text */
}

/* like(pattern, text [, escape]) is `text LIKE pattern [ESCAPE escape]`. */
static void on_like(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
    pattern p = {.escape = EX_S("\\")};
    for (int i = 0; i < argc; i++)
        if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
            return; /* NULL */
    p.text = text_of(argv[0]);
    ex_slice text = text_of(argv[1]);
    if (argc == 3)
        p.escape = text_of(argv[2]);
    if (p.escape.len && character_len(p.escape, 0) != p.escape.len) {
        refuse(ctx, "an ESCAPE has one character");
        return;
    }
    one m = like(&p, text);
    if (m == BROKEN)
        refuse(ctx, "a LIKE pattern ends with the escape character");
    else
        sqlite3_result_int(ctx, m == MATCH);
}

ex_status sqlite_like_register(sqlite3 *handle, ex_error *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, rc = SQLITE_OK;
    for (int argc = 2; argc <= 3 && !rc; argc++)
        rc = sqlite3_create_function_v2(handle, "like", argc, flags, NULL, on_like, NULL, NULL,
                                        NULL);
    return rc ? ex_sqlite_raise(handle, rc, "cannot define LIKE", err) : EX_OK;
}
