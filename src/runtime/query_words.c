/* query_words.c: see query_words.h. */
#include "runtime/query_words.h"

#include <ctype.h>
#include <strings.h>

static bool is_letter(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_of_name(char c)
{
    return is_letter(c) || isdigit((unsigned char)c) || c == '$';
}

/* The next place at or behind `at` where `mark` stands, or the end. */
static size_t find(ex_slice sql, size_t at, const char *mark)
{
    const char *found =
        at < sql.len ? memmem(sql.ptr + at, sql.len - at, mark, strlen(mark)) : NULL;
    return found ? (size_t)(found - sql.ptr) : sql.len;
}

static bool stands(ex_slice sql, size_t at, const char *mark)
{
    size_t len = strlen(mark);
    return sql.len - at >= len && memcmp(sql.ptr + at, mark, len) == 0;
}

/* Behind blanks and comments; at a comment without an end it stays. */
static size_t skip(ex_slice sql, size_t at)
{
    while (at < sql.len) {
        size_t end = 0;
        if (isspace((unsigned char)sql.ptr[at])) {
            at++;
        } else if (stands(sql, at, "--")) {
            at = find(sql, at, "\n");
        } else if (stands(sql, at, "/*")) {
            end = find(sql, at + 2, "*/");
            /* PostgreSQL's nest, SQLite's do not */
            if (end == sql.len || find(sql, at + 2, "/*") < end)
                return at;
            at = end + 2;
        } else {
            return at;
        }
    }
    return at;
}

/* The end of what is quoted; a doubled quote is part of it. 0: there is none. */
static size_t quoted_end(ex_slice sql, size_t at)
{
    char quote = sql.ptr[at];
    for (size_t i = at + 1; i < sql.len; i++) {
        if (sql.ptr[i] != quote)
            continue;
        if (i + 1 == sql.len || sql.ptr[i + 1] != quote)
            return i + 1;
        i++;
    }
    return 0;
}

/* With what follows without a blank: 0x1F and 1abc are one word, which is no number. */
static size_t number_end(ex_slice sql, size_t at)
{
    while (at < sql.len && (is_of_name(sql.ptr[at]) || sql.ptr[at] == '.' ||
                            ((sql.ptr[at] == '+' || sql.ptr[at] == '-') &&
                             (sql.ptr[at - 1] == 'e' || sql.ptr[at - 1] == 'E'))))
        at++;
    return at;
}

static size_t name_end(ex_slice sql, size_t at)
{
    while (at < sql.len && is_of_name(sql.ptr[at]))
        at++;
    return at;
}

static size_t sign_end(ex_slice sql, size_t at)
{
    static const char *const pairs[] = {
        "||", "<>", "!=", "<=", ">=", "==", "::", "->", "<<", ">>", "&&", "@>", "<@"};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (stands(sql, at, pairs[i]))
            return at + 2;
    return at + 1;
}

query_word query_word_next(ex_slice sql, size_t *offset)
{
    size_t at = skip(sql, *offset), end = 0;
    query_word w = {.kind = QUERY_END, .is_glued = at == *offset && at > 0};
    *offset = at;
    if (at == sql.len || stands(sql, at, "/*"))
        return w;
    char c = sql.ptr[at], next = at + 1 < sql.len ? sql.ptr[at + 1] : ' ';
    if (c == '\'' || c == '"') {
        w.kind = c == '"' ? QUERY_QUOTED : QUERY_TEXT;
        end = quoted_end(sql, at);
    } else if (is_letter(c)) {
        w.kind = QUERY_NAME;
        end = name_end(sql, at);
    } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)next))) {
        w.kind = QUERY_NUMBER;
        end = number_end(sql, at);
    } else if (c == ':' && is_of_name(next)) {
        w.kind = QUERY_PARAM;
        end = name_end(sql, at + 1);
    } else {
        w.kind = QUERY_SIGN;
        end = sign_end(sql, at);
    }
    if (end == 0)
        return (query_word){.kind = QUERY_END};
    w.text = ex_slice_of(sql.ptr + at, end - at);
    *offset = end;
    return w;
}

bool query_word_is(const query_word *w, const char *name)
{
    return w->kind == QUERY_NAME && w->text.len == strlen(name) &&
           strncasecmp(w->text.ptr, name, w->text.len) == 0;
}

bool query_sign_is(const query_word *w, const char *sign)
{
    return w->kind == QUERY_SIGN && ex_slice_is(w->text, sign);
}
