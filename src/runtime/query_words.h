/* query_words.h: the SQL of a query as words. Names, texts, numbers, parameters and operators, as
 * SQLite and PostgreSQL both read them. */
#ifndef EXCORE_RUNTIME_QUERY_WORDS_H
#define EXCORE_RUNTIME_QUERY_WORDS_H

#include <excore/base.h>

#define QUERY_WORDS_MAX 2048

typedef enum query_word_kind {
    QUERY_END,
    QUERY_NAME,   /* a keyword or a name without quotes */
    QUERY_QUOTED, /* "a name" */
    QUERY_TEXT,   /* 'a text' */
    QUERY_NUMBER,
    QUERY_PARAM, /* :name */
    QUERY_SIGN   /* an operator or other sign, two characters where they belong together */
} query_word_kind;

typedef struct query_word {
    query_word_kind kind;
    bool is_glued; /* nothing stands between it and the word before it */
    ex_slice text; /* as it is written, quotes and the colon included */
} query_word;

/** The word at *offset, blanks and comments before it passed over; moves *offset behind it. Of kind
 *  QUERY_END at the end, and at a text, quoted name or comment that has none: then *offset is
 * before the end of `sql`. Thread: any. */
query_word query_word_next(ex_slice sql, size_t *offset);
/** True when it is that keyword or name, in any case. */
bool query_word_is(const query_word *w, const char *name);
/** True when it is that sign. */
bool query_sign_is(const query_word *w, const char *sign);

#endif
