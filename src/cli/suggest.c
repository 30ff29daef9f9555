/* suggest.c: "did you mean": the nearest of a list of names.
 *
 * Nearness is the optimal string alignment distance: insert, delete, replace,
 * or swap two neighbours. A word may be off by a third of its length, at least
 * by one; a word of which a single name is the continuation is taken as well. */
#include "cli/args.h"

#define WORD_MAX 32

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Lengths are below WORD_MAX. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t d[WORD_MAX][WORD_MAX];
    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            size_t cost = a[i - 1] != b[j - 1];
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a_len][b_len];
}

const char *args_suggest(const char *word, const char *const *names)
{
    size_t len = strlen(word);
    if (len == 0 || len >= WORD_MAX)
        return NULL;
    const char *best = NULL, *continuation = NULL;
    size_t best_distance = len / 3 > 1 ? len / 3 + 1 : 2, continuations = 0;
    for (const char *const *name = names; *name; name++) {
        size_t name_len = strlen(*name);
        if (name_len >= WORD_MAX)
            continue;
        size_t d = distance(word, len, *name, name_len);
        if (d < best_distance) {
            best_distance = d;
            best = *name;
        }
        if (len >= 2 && strncmp(word, *name, len) == 0) {
            continuation = *name;
            continuations++;
        }
    }
    return best ? best : continuations == 1 ? continuation : NULL;
}
