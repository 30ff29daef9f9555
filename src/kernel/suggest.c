/* suggest.c: how near a name is to a word.
 *
 * Nearness is the optimal string alignment distance: insert, delete, replace,
 * or swap two neighbours. A word may be off by a third of its length, at least
 * by one; a word of which a single name is the continuation is taken as well. */
#include "kernel/suggest.h"

#define WORD_MAX 64 /* bytes and one: names of applications have up to 63 */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Lengths are below WORD_MAX. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned char d[WORD_MAX][WORD_MAX]; /* no distance is above the longer word */
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned char)(i + j);
                continue;
            }
            size_t cost = a[i - 1] != b[j - 1];
            d[i][j] =
                (unsigned char)least(least(d[i - 1][j], d[i][j - 1]) + 1u, d[i - 1][j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = (unsigned char)least(d[i][j], d[i - 2][j - 2] + 1u);
        }
    }
    return d[a_len][b_len];
}

void ex_suggest_begin(ex_suggest *s, ex_slice word)
{
    size_t allowed = word.len / 3 > 1 ? word.len / 3 : 1;
    *s = (ex_suggest){.word = word, .best_distance = allowed + 1};
}

void ex_suggest_try(ex_suggest *s, const char *name)
{
    size_t len = strlen(name);
    if (s->word.len == 0 || s->word.len >= WORD_MAX || len >= WORD_MAX)
        return;
    size_t d = distance(s->word.ptr, s->word.len, name, len);
    if (d < s->best_distance) {
        s->best_distance = d;
        s->best = name;
    }
    if (s->word.len >= 2 && len >= s->word.len && memcmp(s->word.ptr, name, s->word.len) == 0) {
        s->continuation = name;
        s->continuations++;
    }
}

const char *ex_suggest_end(const ex_suggest *s)
{
    return s->best ? s->best : s->continuations == 1 ? s->continuation : NULL;
}
