/* suggest.h: "did you mean": the nearest of some names.
 *
 *   ex_suggest s;
 *   ex_suggest_begin(&s, word);
 *   for (each name)
 *       ex_suggest_try(&s, name);
 *   const char *near = ex_suggest_end(&s);                               NULL: none is near enough
 */
#ifndef EXCORE_KERNEL_SUGGEST_H
#define EXCORE_KERNEL_SUGGEST_H

#include <excore/base.h>

/** Fields are private. */
typedef struct ex_suggest {
    ex_slice word;
    const char *best, *continuation;
    size_t best_distance, continuations;
} ex_suggest;

/** The word is borrowed until the end, the names longer: one of them is the answer. */
void ex_suggest_begin(ex_suggest *s, ex_slice word);
void ex_suggest_try(ex_suggest *s, const char *name);
const char *ex_suggest_end(const ex_suggest *s);

#endif
