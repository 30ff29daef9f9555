/* content_type.c: see content_type.h. */
#include "store/content_type.h"

#include <strings.h>

bool ex_content_is_json(ex_slice content_type)
{
    size_t len = 0;
    while (len < content_type.len && content_type.ptr[len] != ';')
        len++;
    while (len > 0 && (content_type.ptr[len - 1] == ' ' || content_type.ptr[len - 1] == '\t'))
        len--;
    if (len == 16 && strncasecmp(content_type.ptr, "application/json", 16) == 0)
        return true;
    if (len == 9 && strncasecmp(content_type.ptr, "text/json", 9) == 0)
        return true;
    return len > 5 && strncasecmp(content_type.ptr + len - 5, "+json", 5) == 0;
}

static size_t skip_blanks(ex_slice s, size_t at)
{
    while (at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == '\t'))
        at++;
    return at;
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool ex_content_is_same(ex_slice a, ex_slice b)
{
    for (size_t i = 0, j = 0;; i++, j++) {
        i = skip_blanks(a, i);
        j = skip_blanks(b, j);
        if (i == a.len || j == b.len)
            return i == a.len && j == b.len;
        if (lower(a.ptr[i]) != lower(b.ptr[j]))
            return false;
    }
}
