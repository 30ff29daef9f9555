/* query_dialect.c: see query_dialect.h. Each rule looks at one word and its neighbours. */
#include "runtime/query_dialect.h"

#include "runtime/row.h"

#include <stdio.h>

#define EXCERPT_BYTES 80
#define DIGITS_MAX    18 /* what surely fits 64 bits */

/* ---- Words ---- */

const query_word *dialect_at(const dialect *d, uint32_t at)
{
    return &d->words[at < d->count ? at : d->count].word;
}

bool dialect_is(const dialect *d, uint32_t at, const char *keyword)
{
    return query_word_is(dialect_at(d, at), keyword);
}

bool dialect_is_sign(const dialect *d, uint32_t at, const char *sign)
{
    return query_sign_is(dialect_at(d, at), sign);
}

static bool is_any(const query_word *w, const char *const *names)
{
    for (; *names; names++)
        if (query_word_is(w, *names))
            return true;
    return false;
}

ex_status dialect_refuse(const dialect *d, uint32_t at, const char *why)
{
    at = at < d->count ? at : d->count - 1;
    uint32_t first = at > 0 ? at - 1 : 0, last = at + 1 < d->count ? at + 1 : at;
    const char *begin = dialect_at(d, first)->text.ptr;
    const ex_slice end = dialect_at(d, last)->text;
    size_t len = (size_t)(end.ptr + end.len - begin);
    return ex_raise(d->err, EX_EINVAL, "query %s of view %s: '%.*s%s': %s", d->def->name,
                    d->def->view->name, (int)(len < EXCERPT_BYTES ? len : EXCERPT_BYTES), begin,
                    len < EXCERPT_BYTES ? "" : "…", why);
}

uint32_t dialect_close_of(const dialect *d, uint32_t open)
{
    uint32_t at = open + 1;
    while (at < d->count &&
           !(d->words[at].depth == d->words[open].depth && query_sign_is(&d->words[at].word, ")")))
        at++;
    return at;
}

/* ---- Shapes ---- */

static dialect_shape shape_of_field(const ex_field *f)
{
    if (!f)
        return SHAPE_UNKNOWN;
    switch (f->kind) {
    case EX_KIND_JSON:
    case EX_KIND_STRUCT:
    case EX_KIND_OPT_STRUCT:
    case EX_KIND_LIST:
    case EX_KIND_TEXTS:
        return SHAPE_JSON;
    default:
        break;
    }
    switch (row_column_type(f)) {
    case EX_SQL_BOOL:
        return SHAPE_BOOL;
    case EX_SQL_I64:
        return SHAPE_NUMBER;
    case EX_SQL_F64:
        return SHAPE_DOUBLE;
    default:
        return SHAPE_TEXT;
    }
}

static const ex_field *find_field(const ex_type *type, ex_slice name)
{
    for (uint32_t i = 0; type && i < type->field_count; i++)
        if (ex_slice_is(name, type->fields[i].name))
            return &type->fields[i];
    return NULL;
}

/* Of the view's tables: unknown when two of them disagree. */
static dialect_shape shape_of_column(const ex_view_def *view, ex_slice name)
{
    dialect_shape shape = SHAPE_UNKNOWN;
    for (uint32_t t = 0; t < view->table_count; t++) {
        dialect_shape other = shape_of_field(find_field(view->tables[t].row, name));
        if (shape != SHAPE_UNKNOWN && other != SHAPE_UNKNOWN && other != shape)
            return SHAPE_UNKNOWN;
        shape = other != SHAPE_UNKNOWN ? other : shape;
    }
    return shape;
}

static bool is_decimal(const query_word *w)
{
    return w->kind == QUERY_NUMBER &&
           (memchr(w->text.ptr, '.', w->text.len) || memchr(w->text.ptr, 'e', w->text.len) ||
            memchr(w->text.ptr, 'E', w->text.len));
}

dialect_shape dialect_shape_of(const dialect *d, uint32_t at)
{
    const query_word *w = dialect_at(d, at);
    switch (w->kind) {
    case QUERY_NUMBER:
        return is_decimal(w) ? SHAPE_DECIMAL : SHAPE_NUMBER;
    case QUERY_TEXT:
        return SHAPE_TEXT;
    case QUERY_PARAM:
        return shape_of_field(
            find_field(d->def->params, ex_slice_of(w->text.ptr + 1, w->text.len - 1)));
    case QUERY_QUOTED:
        return shape_of_column(d->def->view, ex_slice_of(w->text.ptr + 1, w->text.len - 2));
    case QUERY_NAME:
        if (query_word_is(w, "true") || query_word_is(w, "false"))
            return SHAPE_BOOL;
        return dialect_is_sign(d, at + 1, "(") || dialect_is_sign(d, at + 1, ".")
                   ? SHAPE_UNKNOWN
                   : shape_of_column(d->def->view, w->text);
    default:
        return SHAPE_UNKNOWN;
    }
}

/* The value behind an operator: what is qualified by a table's name is behind the dot. */
static dialect_shape shape_behind(const dialect *d, uint32_t at)
{
    bool is_qualified = dialect_is_sign(d, at + 2, ".");
    return dialect_shape_of(d, at + (is_qualified ? 3 : 1));
}

/* ---- Operators ---- */

static const char *const keywords[] = {
    "select",    "distinct", "from",      "where",   "and",   "or",      "not",    "case",
    "when",      "then",     "else",      "end",     "as",    "on",      "join",   "left",
    "right",     "full",     "inner",     "outer",   "cross", "natural", "group",  "having",
    "order",     "by",       "limit",     "offset",  "union", "all",     "except", "intersect",
    "in",        "like",     "escape",    "between", "is",    "null",    "exists", "with",
    "recursive", "over",     "partition", "filter",  "using", "asc",     "desc",   "nulls",
    "cast",      NULL};

/* Could a value end with this word? Then a sign behind it is an operator between two values. */
static bool ends_value(const query_word *w)
{
    switch (w->kind) {
    case QUERY_QUOTED:
    case QUERY_TEXT:
    case QUERY_NUMBER:
    case QUERY_PARAM:
        return true;
    case QUERY_SIGN:
        return query_sign_is(w, ")");
    case QUERY_NAME:
        return !is_any(w, keywords) || query_word_is(w, "null") || query_word_is(w, "end");
    default:
        return false;
    }
}

static bool is_arithmetic(const dialect *d, uint32_t at)
{
    const query_word *w = dialect_at(d, at);
    if (w->kind != QUERY_SIGN || w->text.len != 1 || !strchr("+-*/%", w->text.ptr[0]) || at == 0)
        return false;
    const query_word *next = dialect_at(d, at + 1);
    bool is_star =
        query_sign_is(w, "*") && (query_sign_is(next, ")") || query_sign_is(next, ",") ||
                                  query_word_is(next, "from") || next->kind == QUERY_END);
    return !is_star && ends_value(dialect_at(d, at - 1));
}

static bool is_comparison(const query_word *w)
{
    static const char *const signs[] = {"=", "<>", "!=", "<", "<=", ">", ">="};
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (query_sign_is(w, signs[i]))
            return true;
    return false;
}

static ex_status check_operands(const dialect *d, uint32_t at, dialect_shape left,
                                dialect_shape right)
{
    bool has_unknown = left == SHAPE_UNKNOWN || right == SHAPE_UNKNOWN;
    bool is_text_left = left == SHAPE_TEXT || left == SHAPE_JSON;
    bool is_text_right = right == SHAPE_TEXT || right == SHAPE_JSON;
    if (has_unknown)
        return EX_OK;
    if ((left == SHAPE_BOOL) != (right == SHAPE_BOOL))
        return dialect_refuse(d, at, "a boolean compares with TRUE, FALSE or another boolean only");
    if (is_text_left != is_text_right)
        return dialect_refuse(d, at, "it compares a number with a text");
    return EX_OK;
}

static ex_status rule_comparison(const dialect *d, uint32_t at)
{
    if (at == 0)
        return EX_OK;
    if (is_comparison(dialect_at(d, at)))
        return check_operands(d, at, dialect_shape_of(d, at - 1), shape_behind(d, at));
    if (dialect_is(d, at, "in") && dialect_is_sign(d, at + 1, "(")) {
        uint32_t left = dialect_is(d, at - 1, "not") && at > 1 ? at - 2 : at - 1;
        return check_operands(d, at, dialect_shape_of(d, left), dialect_shape_of(d, at + 2));
    }
    if (dialect_is(d, at, "like")) {
        uint32_t left = dialect_is(d, at - 1, "not") && at > 1 ? at - 2 : at - 1;
        dialect_shape shape = dialect_shape_of(d, left);
        if (shape != SHAPE_UNKNOWN && shape != SHAPE_TEXT && shape != SHAPE_JSON)
            return dialect_refuse(d, at, "LIKE is for texts");
    }
    return EX_OK;
}

/* A division by zero is a NULL on SQLite and a failure on PostgreSQL. */
static ex_status rule_division(const dialect *d, uint32_t at)
{
    bool is_division = dialect_is_sign(d, at, "/") || dialect_is_sign(d, at, "%");
    if (!is_division)
        return EX_OK;
    const query_word *divisor = dialect_at(d, at + (dialect_is(d, at + 1, "cast") ? 3 : 1));
    bool is_zero = true;
    for (size_t i = 0; i < divisor->text.len && divisor->kind == QUERY_NUMBER; i++)
        is_zero = is_zero && strchr("0.eE+-", divisor->text.ptr[i]);
    if (query_word_is(divisor, "nullif") || (divisor->kind == QUERY_NUMBER && !is_zero))
        return EX_OK;
    return dialect_refuse(d, at, "what may be 0 is a divisor as nullif(x, 0) only");
}

/* 0.1 is a double on SQLite, and exact on PostgreSQL. Beside a double it is one on both, but words
 * do not tell what stands beside it. */
static ex_status rule_number(const dialect *d, uint32_t at)
{
    const query_word *w = dialect_at(d, at);
    if (w->kind != QUERY_NUMBER)
        return EX_OK;
    size_t digits = 0;
    for (size_t i = 0; i < w->text.len; i++) {
        if (w->text.ptr[i] >= '0' && w->text.ptr[i] <= '9')
            digits++;
        else if (!strchr(".eE+-", w->text.ptr[i]))
            return dialect_refuse(d, at, "this is not a number on both engines");
    }
    if (!is_decimal(w) && digits > DIGITS_MAX)
        return dialect_refuse(d, at, "a whole number has at most 18 digits");
    bool is_calculated = (at > 0 && is_arithmetic(d, at - 1)) || is_arithmetic(d, at + 1);
    return is_decimal(w) && is_calculated
               ? dialect_refuse(d, at,
                                "SQLite calculates with a double here and PostgreSQL exactly; "
                                "write CAST(0.1 AS DOUBLE PRECISION)")
               : EX_OK;
}

/* || binds tighter than arithmetic on SQLite, and looser on PostgreSQL. */
static bool meets_arithmetic(const dialect *d, uint32_t at, int step)
{
    for (uint32_t i = at + (uint32_t)step; i < d->count; i += (uint32_t)step) {
        if (d->words[i].depth > d->words[at].depth)
            continue;
        const query_word *w = dialect_at(d, i);
        if (is_arithmetic(d, i))
            return true;
        bool is_bracket = query_sign_is(w, ")") || query_sign_is(w, "(");
        bool is_end = query_sign_is(w, ",") || is_comparison(w) || is_any(w, keywords);
        if (is_end || (is_bracket && d->words[i].depth < d->words[at].depth))
            return false;
        if (i == 0)
            return false;
    }
    return false;
}

static ex_status rule_concatenation(const dialect *d, uint32_t at)
{
    if (!dialect_is_sign(d, at, "||"))
        return EX_OK;
    if (meets_arithmetic(d, at, 1) || meets_arithmetic(d, at, -1))
        return dialect_refuse(d, at, "put the calculation beside || in brackets");
    dialect_shape shapes[] = {at > 0 ? dialect_shape_of(d, at - 1) : SHAPE_UNKNOWN,
                              shape_behind(d, at)};
    for (int i = 0; i < 2; i++)
        if (shapes[i] == SHAPE_BOOL || shapes[i] == SHAPE_DOUBLE || shapes[i] == SHAPE_DECIMAL)
            return dialect_refuse(d, at, "the engines write such a value in different ways");
    return EX_OK;
}

static ex_status rule_sign(const dialect *d, uint32_t at)
{
    static const char *const both[] = {"(", ")",  ",",  ".", "*",  "+", "-",  "/", "%",
                                       "=", "<>", "!=", "<", "<=", ">", ">=", "||"};
    static const struct {
        const char *sign, *why;
    } others[] = {
        {";", "a query is one statement, without a semicolon"},
        {"==", "write ="},
        {"::", "write CAST(x AS type)"},
        {"`", "a name is quoted with \""},
        {"[", "a name is quoted with \""},
        {"$", "parameters are named, as :name"},
        {"?", "parameters are named, as :name"},
    };
    if (dialect_at(d, at)->kind != QUERY_SIGN)
        return EX_OK;
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
        if (dialect_is_sign(d, at, both[i]))
            return EX_OK;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (dialect_is_sign(d, at, others[i].sign))
            return dialect_refuse(d, at, others[i].why);
    return dialect_refuse(d, at, "this sign does not mean the same on both engines");
}

/* ---- Keywords ---- */

static ex_status rule_text(const dialect *d, uint32_t at)
{
    const query_word *w = dialect_at(d, at);
    if (w->kind != QUERY_TEXT || at == 0)
        return EX_OK;
    const query_word *before = dialect_at(d, at - 1);
    if (before->kind == QUERY_NAME && w->is_glued && before->text.len == 1)
        return dialect_refuse(d, at, "texts with a letter before them differ; write '…' alone");
    return before->kind == QUERY_TEXT
               ? dialect_refuse(d, at, "two texts in a row; write || between them")
               : EX_OK;
}

/* Between two values; elsewhere they are names, of columns say. */
static const struct {
    const char *word, *why;
} refused_operators[] = {
    {"glob", "PostgreSQL does not have it; write LIKE"},
    {"regexp", "PostgreSQL does not have it; write LIKE"},
    {"match", "PostgreSQL does not have it; write LIKE"},
    {"ilike", "SQLite does not have it; write lower(x) LIKE"},
    {"similar", "SQLite does not have it; write LIKE"},
};

static ex_status rule_word_operator(const dialect *d, uint32_t at)
{
    uint32_t left = at > 1 && dialect_is(d, at - 1, "not") ? at - 2 : at - 1;
    if (at == 0 || !ends_value(dialect_at(d, left)))
        return EX_OK;
    for (size_t i = 0; i < sizeof(refused_operators) / sizeof(refused_operators[0]); i++)
        if (dialect_is(d, at, refused_operators[i].word))
            return dialect_refuse(d, at, refused_operators[i].why);
    return EX_OK;
}

static const struct {
    const char *word, *why;
} refused_words[] = {
    {"collate", "texts are ordered by their bytes, on both engines"},
    {"current_date", "a query does not ask for the time; give it as a parameter"},
    {"current_time", "a query does not ask for the time; give it as a parameter"},
    {"current_timestamp", "a query does not ask for the time; give it as a parameter"},
    {"localtime", "a query does not ask for the time; give it as a parameter"},
    {"localtimestamp", "a query does not ask for the time; give it as a parameter"},
    {"user", "without quotes it is the role on PostgreSQL; write \"user\""},
    {"current_user", "without quotes it is the role on PostgreSQL"},
    {"session_user", "without quotes it is the role on PostgreSQL"},
    {"current_role", "without quotes it is the role on PostgreSQL"},
    {"current_catalog", "without quotes it is the database on PostgreSQL"},
    {"current_schema", "without quotes it is the schema on PostgreSQL"},
};

static ex_status rule_word(const dialect *d, uint32_t at)
{
    for (size_t i = 0; i < sizeof(refused_words) / sizeof(refused_words[0]); i++)
        if (dialect_is(d, at, refused_words[i].word))
            return dialect_refuse(d, at, refused_words[i].why);
    if ((dialect_is(d, at, "limit") || dialect_is(d, at, "offset")) &&
        dialect_at(d, at + 1)->kind != QUERY_NUMBER)
        return dialect_refuse(d, at, "LIMIT and OFFSET take a number");
    return EX_OK;
}

/* INTERSECT goes before UNION and EXCEPT on PostgreSQL only. */
static ex_status rule_intersect(const dialect *d, uint32_t at)
{
    if (!dialect_is(d, at, "intersect"))
        return EX_OK;
    for (uint32_t i = 0; i < d->count; i++)
        if (d->words[i].depth == d->words[at].depth &&
            (dialect_is(d, i, "union") || dialect_is(d, i, "except")))
            return dialect_refuse(d, at, "beside UNION or EXCEPT it needs a SELECT of its own");
    return EX_OK;
}

static bool is_end_of_order(const dialect *d, uint32_t at, uint32_t depth)
{
    static const char *const ends[] = {"limit", "offset", "rows", "range", "groups", NULL};
    return at >= d->count || d->words[at].depth < depth || is_any(dialect_at(d, at), ends);
}

/* SQLite's nulls come first, PostgreSQL's last. */
static ex_status rule_order(const dialect *d, uint32_t at)
{
    if (!dialect_is(d, at, "order") || !dialect_is(d, at + 1, "by"))
        return EX_OK;
    uint32_t depth = d->words[at].depth;
    for (uint32_t i = at + 2;; i++) {
        bool is_end = is_end_of_order(d, i, depth);
        if (!is_end && !(d->words[i].depth == depth && dialect_is_sign(d, i, ",")))
            continue;
        bool is_said = dialect_is(d, i - 2, "nulls") &&
                       (dialect_is(d, i - 1, "first") || dialect_is(d, i - 1, "last"));
        if (!is_said)
            return dialect_refuse(d, at,
                                  "rows are ordered by order_by; an ORDER BY in the SQL says "
                                  "NULLS FIRST or NULLS LAST for each value");
        if (is_end)
            return EX_OK;
    }
}

static ex_status rule_call(const dialect *d, uint32_t at)
{
    bool is_call = dialect_at(d, at)->kind == QUERY_NAME && dialect_is_sign(d, at + 1, "(");
    if (!is_call)
        return EX_OK;
    if (is_any(dialect_at(d, at), keywords) && !dialect_is(d, at, "cast"))
        return EX_OK;
    uint32_t close = dialect_close_of(d, at + 1);
    if (dialect_is(d, close + 1, "as") && dialect_is_sign(d, close + 2, "("))
        return EX_OK; /* WITH name (columns) AS (…) */
    return dialect_check_call(d, at);
}

/* ---- All of it ---- */

static ex_status check_words(const dialect *d)
{
    static ex_status (*const rules[])(const dialect *, uint32_t) = {
        rule_sign,   rule_word,      rule_word_operator, rule_text,
        rule_number, rule_call,      rule_division,      rule_concatenation,
        rule_order,  rule_intersect, rule_comparison};
    if (!dialect_is(d, 0, "select") && !dialect_is(d, 0, "with"))
        return dialect_refuse(d, 0, "a query begins with SELECT or WITH");
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < d->count; i++)
        for (size_t r = 0; !st && r < sizeof(rules) / sizeof(rules[0]); r++)
            st = rules[r](d, i);
    return st;
}

static ex_status read_words(dialect *d, ex_error *err)
{
    ex_slice sql = ex_str(d->def->sql);
    size_t offset = 0;
    uint32_t depth = 0;
    bool is_balanced = true;
    for (;;) {
        query_word w = query_word_next(sql, &offset);
        if (w.kind == QUERY_END)
            break;
        if (d->count == QUERY_WORDS_MAX)
            return ex_raise(err, EX_EINVAL, "query %s of view %s has more than %d words",
                            d->def->name, d->def->view->name, QUERY_WORDS_MAX);
        is_balanced = is_balanced && !(query_sign_is(&w, ")") && depth == 0);
        depth -= query_sign_is(&w, ")") && depth > 0;
        d->words[d->count++] = (dialect_word){w, depth};
        depth += query_sign_is(&w, "(");
        d->divides = d->divides || query_sign_is(&w, "/") || query_sign_is(&w, "%");
    }
    if (!is_balanced || (depth > 0 && offset == sql.len))
        return ex_raise(err, EX_EINVAL, "query %s of view %s: its brackets do not match",
                        d->def->name, d->def->view->name);
    if (offset < sql.len || d->count == 0)
        return ex_raise(err, EX_EINVAL, "query %s of view %s: %s", d->def->name, d->def->view->name,
                        d->count ? "a quoted text, name or comment has no end" : "it has no SQL");
    return EX_OK;
}

ex_status query_dialect_check(const ex_query_def *def, ex_error *err)
{
    ex_arena arena;
    ex_arena_init(&arena, 0);
    dialect d = {.def = def, .err = err};
    d.words = ex_arena_zalloc(&arena, (QUERY_WORDS_MAX + 1) * sizeof(*d.words));
    ex_status st = d.words ? read_words(&d, err)
                           : ex_raise(err, EX_ENOMEM, "no memory to check query %s", def->name);
    st = st ? st : check_words(&d);
    ex_arena_done(&arena);
    return st;
}
