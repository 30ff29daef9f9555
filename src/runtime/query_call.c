/* query_call.c: the calls in a query's SQL: functions that both engines have and compute alike, and
 * what their arguments may be. See query_dialect.h. */
#include "runtime/query_dialect.h"

typedef ex_status check_fn(const dialect *d, uint32_t at);

/* ---- Arguments; `at` is the function's name, at + 1 its bracket ---- */

static uint32_t count_commas(const dialect *d, uint32_t at)
{
    uint32_t commas = 0, close = dialect_close_of(d, at + 1);
    for (uint32_t i = at + 2; i < close; i++)
        commas += d->words[i].depth == d->words[at].depth + 1 && dialect_is_sign(d, i, ",");
    return commas;
}

static ex_status check_extreme(const dialect *d, uint32_t at)
{
    if (count_commas(d, at) > 0)
        return dialect_refuse(d, at, "PostgreSQL has it with one argument only; write CASE");
    if (dialect_shape_of(d, at + 2) == SHAPE_BOOL)
        return dialect_refuse(d, at, "PostgreSQL does not have it for booleans");
    return EX_OK;
}

static bool is_alone(const dialect *d, uint32_t at)
{
    return dialect_close_of(d, at + 1) == at + 3;
}

/* Is the argument CAST(… AS DOUBLE PRECISION), or a column of doubles? */
static bool takes_double(const dialect *d, uint32_t at)
{
    uint32_t close = dialect_close_of(d, at + 1);
    if (is_alone(d, at))
        return dialect_shape_of(d, at + 2) == SHAPE_DOUBLE;
    return dialect_is(d, at + 2, "cast") && dialect_close_of(d, at + 3) + 1 == close &&
           dialect_is(d, close - 2, "precision");
}

/* Of whole numbers it is a NUMERIC on PostgreSQL, which divides exactly. */
static ex_status check_sum(const dialect *d, uint32_t at)
{
    bool is_cast = at >= 2 && dialect_is(d, at - 2, "cast") && dialect_is_sign(d, at - 1, "(");
    if (is_alone(d, at) && dialect_shape_of(d, at + 2) == SHAPE_BOOL)
        return dialect_refuse(
            d, at, "PostgreSQL does not have it for booleans; write sum(CAST(x AS INTEGER))");
    if (d->divides && !is_cast && !takes_double(d, at))
        return dialect_refuse(d, at, "in a query that divides write CAST(sum(x) AS BIGINT)");
    return EX_OK;
}

static ex_status check_average(const dialect *d, uint32_t at)
{
    if (takes_double(d, at))
        return EX_OK;
    return dialect_refuse(d, at,
                          "of whole numbers PostgreSQL gives it exactly, SQLite as a double; "
                          "write avg(CAST(x AS DOUBLE PRECISION))");
}

/* Where it begins before the first character, or has a negative length, the engines differ. */
static ex_status check_substr(const dialect *d, uint32_t at)
{
    uint32_t close = dialect_close_of(d, at + 1), comma = at + 2;
    while (comma < close &&
           !(d->words[comma].depth == d->words[at].depth + 1 && dialect_is_sign(d, comma, ",")))
        comma++;
    const query_word *start = dialect_at(d, comma + 1);
    bool is_fine = start->kind == QUERY_NUMBER && start->text.ptr[0] != '0';
    if (close == comma + 4)
        is_fine = is_fine && dialect_at(d, comma + 3)->kind == QUERY_NUMBER;
    else
        is_fine = is_fine && close == comma + 2;
    return is_fine ? EX_OK
                   : dialect_refuse(d, at, "its start and length are numbers, from 1 and from 0");
}

/* ---- CAST ---- */

#define SHAPE(x) (1u << SHAPE_##x)

/* Does a value of one of these shapes stand between the brackets? What is calculated as a double
 * counts as one, as far as words tell. */
static bool holds(const dialect *d, uint32_t from, uint32_t to, unsigned shapes)
{
    for (uint32_t i = from; i < to; i++) {
        bool is_double = dialect_is(d, i, "avg") || dialect_is(d, i, "double");
        unsigned shape = is_double ? SHAPE(DOUBLE) : 1u << dialect_shape_of(d, i);
        if (shapes & shape)
            return true;
    }
    return false;
}

static const struct {
    const char *words[2]; /* of the type */
    unsigned refused;     /* shapes of what is cast */
    const char *why;
} casts[] = {
    {{"bigint", NULL},
     SHAPE(TEXT) | SHAPE(DOUBLE) | SHAPE(DECIMAL) | SHAPE(BOOL) | SHAPE(JSON),
     "only a whole number becomes one in the same way on both engines"},
    {{"double", "precision"},
     SHAPE(TEXT) | SHAPE(BOOL) | SHAPE(JSON),
     "only a number becomes a double in the same way on both engines"},
    {{"text", NULL},
     SHAPE(DOUBLE) | SHAPE(DECIMAL) | SHAPE(BOOL),
     "the engines write such a value in different ways"},
};

static ex_status check_cast(const dialect *d, uint32_t at)
{
    uint32_t close = dialect_close_of(d, at + 1), as = at + 2;
    while (as < close && !(d->words[as].depth == d->words[at].depth + 1 && dialect_is(d, as, "as")))
        as++;
    for (size_t i = 0; i < sizeof(casts) / sizeof(casts[0]); i++) {
        const char *second = casts[i].words[1];
        if (!dialect_is(d, as + 1, casts[i].words[0]) ||
            (second && !dialect_is(d, as + 2, second)) || close != as + (second ? 3 : 2))
            continue;
        return holds(d, at + 2, as, casts[i].refused) ? dialect_refuse(d, at, casts[i].why) : EX_OK;
    }
    if (dialect_is(d, as + 1, "integer") && close == as + 2 && as == at + 3 &&
        dialect_shape_of(d, at + 2) == SHAPE_BOOL)
        return EX_OK;
    return dialect_refuse(d, as,
                          "CAST is to BIGINT, DOUBLE PRECISION or TEXT, and of a boolean "
                          "column to INTEGER");
}

/* ---- Functions ---- */

static const struct {
    const char *name;
    check_fn *check; /* NULL: nothing more to say */
} functions[] = {
    {"count", NULL},        {"sum", check_sum},   {"avg", check_average}, {"min", check_extreme},
    {"max", check_extreme}, {"abs", NULL},        {"coalesce", NULL},     {"nullif", NULL},
    {"lower", NULL},        {"upper", NULL},      {"length", NULL},       {"replace", NULL},
    {"trim", NULL},         {"ltrim", NULL},      {"rtrim", NULL},        {"substr", check_substr},
    {"cast", check_cast},   {"row_number", NULL}, {"rank", NULL},         {"dense_rank", NULL},
    {"lag", NULL},          {"lead", NULL},       {"first_value", NULL},  {"last_value", NULL},
};

static const struct {
    const char *name, *why;
} refused[] = {
    {"ifnull", "PostgreSQL does not have it; write coalesce()"},
    {"iif", "PostgreSQL does not have it; write CASE WHEN"},
    {"total", "PostgreSQL does not have it; write coalesce(sum(x), 0)"},
    {"greatest", "SQLite does not have it; write CASE WHEN"},
    {"least", "SQLite does not have it; write CASE WHEN"},
    {"concat", "SQLite does not have it; write ||"},
    {"char_length", "SQLite does not have it; write length()"},
    {"substring", "write substr()"},
    {"round", "it rounds halves up on SQLite, and to even for doubles on PostgreSQL"},
    {"random", "a query gives the same answer each time"},
    {"now", "a query does not ask for the time; give it as a parameter"},
    {"datetime", "a query does not ask for the time; give it as a parameter"},
};

ex_status dialect_check_call(const dialect *d, uint32_t at)
{
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        if (dialect_is(d, at, functions[i].name))
            return functions[i].check ? functions[i].check(d, at) : EX_OK;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (dialect_is(d, at, refused[i].name))
            return dialect_refuse(d, at, refused[i].why);
    return dialect_refuse(d, at,
                          "this function is not known to be the same on both engines; write "
                          "the query as on_sqlite and on_postgres");
}
