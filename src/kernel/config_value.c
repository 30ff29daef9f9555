/* config_value.c: from the text of a value to the value, and the expansion of ${VAR}. */
#include "kernel/config_int.h"

#include <excore/json.h>

#include <stdio.h>
#include <strings.h>

typedef struct unit {
    const char *name;
    int64_t factor;
} unit;

/* Largest first, so that a bound is shown in the largest unit that divides it. */
static const unit byte_units[] = {
    {"TiB", INT64_C(1) << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1},
};
static const unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
#define UNITS 5

_Static_assert(sizeof(byte_units) / sizeof(unit) == UNITS, "one loop reads both tables");
_Static_assert(sizeof(duration_units) / sizeof(unit) == UNITS, "one loop reads both tables");

/* Digits at the start of `s`, which moves behind them. */
static bool take_digits(ex_slice *s, int64_t *ret)
{
    int64_t n = 0;
    size_t i = 0;
    for (; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++) {
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, s->ptr[i] - '0', &n))
            return false;
    }
    *ret = n;
    *s = ex_slice_of(s->ptr + i, s->len - i);
    return i > 0;
}

static bool parse_int(ex_slice s, int64_t *ret)
{
    bool is_negative = s.len > 0 && s.ptr[0] == '-';
    if (is_negative)
        s = ex_slice_of(s.ptr + 1, s.len - 1);
    if (!take_digits(&s, ret) || s.len > 0)
        return false;
    if (is_negative)
        *ret = -*ret;
    return true;
}

static bool parse_units(ex_slice s, const unit *units, int64_t *ret)
{
    if (!take_digits(&s, ret))
        return false;
    for (size_t i = 0; i < UNITS; i++) {
        if (ex_slice_is(s, units[i].name))
            return !__builtin_mul_overflow(*ret, units[i].factor, ret);
    }
    return s.len == 0 && *ret == 0; /* zero of anything */
}

static bool parse_bool(ex_slice s, int64_t *ret)
{
    static const struct {
        const char *word;
        int value;
    } words[] = {{"true", 1},  {"yes", 1}, {"on", 1},  {"1", 1},
                 {"false", 0}, {"no", 0},  {"off", 0}, {"0", 0}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (s.len == strlen(words[i].word) && strncasecmp(s.ptr, words[i].word, s.len) == 0) {
            *ret = words[i].value;
            return true;
        }
    }
    return false;
}

static bool parse_choice(ex_slice s, const char *choices, int64_t *ret)
{
    int64_t index = 0;
    for (const char *at = choices;; index++) {
        size_t n = strcspn(at, "|");
        if (ex_slice_eq(s, ex_slice_of(at, n))) {
            *ret = index;
            return true;
        }
        if (!at[n])
            return false;
        at += n + 1;
    }
}

static void put_units(int64_t n, const unit *units, char *out, size_t size)
{
    size_t i = 0;
    while (i < UNITS - 1 && (n == 0 || n % units[i].factor != 0))
        i++;
    (void)snprintf(out, size, "%lld%s", (long long)(n / units[i].factor), units[i].name);
}

static void put_number(const ex_config_key *key, int64_t n, char *out, size_t size)
{
    if (key->type == EX_CONFIG_BYTES)
        put_units(n, byte_units, out, size);
    else if (key->type == EX_CONFIG_DURATION)
        put_units(n, duration_units, out, size);
    else
        (void)snprintf(out, size, "%lld", (long long)n);
}

static bool check_range(const ex_config_key *key, ex_slice text, int64_t n,
                        char why[CONFIG_SHOWN_SIZE])
{
    if ((key->min == 0 && key->max == 0) || (n >= key->min && n <= key->max))
        return true;
    char low[32], high[32];
    put_number(key, key->min, low, sizeof(low));
    put_number(key, key->max, high, sizeof(high));
    /* the text is digits and a unit here, but leading zeros can make it long */
    if (key->is_secret)
        text = EX_S("***");
    (void)snprintf(why, CONFIG_SHOWN_SIZE, "%.*s%s is not within %s to %s",
                   text.len > 40 ? 40 : (int)text.len, text.ptr, text.len > 40 ? "..." : "", low,
                   high);
    return false;
}

static const char *const expectations[] = {
    [EX_CONFIG_STRING] = "",
    [EX_CONFIG_BOOL] = "is not true or false",
    [EX_CONFIG_INT] = "is not a whole number",
    [EX_CONFIG_BYTES] = "is not a size such as 65536, 64KiB, 1MiB or 2GiB",
    [EX_CONFIG_DURATION] = "is not a duration such as 500ms, 10s, 5m, 2h or 7d",
};

static void refuse(const ex_config_key *key, ex_slice text, char why[CONFIG_SHOWN_SIZE])
{
    char shown[CONFIG_SHOWN_SIZE];
    const char *what = config_show(text, key->is_secret, shown);
    if (key->type == EX_CONFIG_ENUM)
        (void)snprintf(why, CONFIG_SHOWN_SIZE, "%.70s is not one of %.70s", what, key->choices);
    else
        (void)snprintf(why, CONFIG_SHOWN_SIZE, "%.90s %s", what, expectations[key->type]);
}

static bool parse_typed(const ex_config_key *key, ex_slice text, int64_t *ret)
{
    switch (key->type) {
    case EX_CONFIG_STRING:
        return true;
    case EX_CONFIG_BOOL:
        return parse_bool(text, ret);
    case EX_CONFIG_INT:
        return parse_int(text, ret);
    case EX_CONFIG_BYTES:
        return parse_units(text, byte_units, ret);
    case EX_CONFIG_DURATION:
        return parse_units(text, duration_units, ret);
    case EX_CONFIG_ENUM:
        return parse_choice(text, key->choices, ret);
    }
    return false;
}

bool config_value_parse(const ex_config_key *key, ex_slice text, int64_t *ret_number,
                        char why[CONFIG_SHOWN_SIZE])
{
    int64_t n = 0;
    if (!text.ptr)
        text = EX_S(""); /* the parsers do arithmetic on the pointer */
    if (text.len > CONFIG_VALUE_BYTES) {
        (void)snprintf(why, CONFIG_SHOWN_SIZE, "the value is longer than %zu bytes",
                       CONFIG_VALUE_BYTES);
        return false;
    }
    if (!ex_utf8_is_valid(text) || (text.len && memchr(text.ptr, '\0', text.len))) {
        (void)snprintf(why, CONFIG_SHOWN_SIZE, "the value is not text in UTF-8");
        return false;
    }
    if (!parse_typed(key, text, &n)) {
        refuse(key, text, why);
        return false;
    }
    bool has_range = key->type == EX_CONFIG_INT || key->type == EX_CONFIG_BYTES ||
                     key->type == EX_CONFIG_DURATION;
    if (has_range && !check_range(key, text, n, why))
        return false;
    *ret_number = n;
    return true;
}

/* ---- Expansion ---- */

const char *config_getenv(char *const *environ, ex_slice name)
{
    for (; *environ; environ++) {
        if (strncmp(*environ, name.ptr, name.len) == 0 && (*environ)[name.len] == '=')
            return *environ + name.len + 1;
    }
    return NULL;
}

static size_t variable_length(ex_slice s)
{
    size_t n = 0;
    while (n < s.len &&
           (s.ptr[n] == '_' || (s.ptr[n] >= 'A' && s.ptr[n] <= 'Z') ||
            (s.ptr[n] >= 'a' && s.ptr[n] <= 'z') || (n > 0 && s.ptr[n] >= '0' && s.ptr[n] <= '9')))
        n++;
    return n;
}

/* `s` is what follows "${"; moves it behind the closing brace. */
static bool expand_one(ex_slice *s, char *const *environ, ex_buf *out, char why[CONFIG_SHOWN_SIZE])
{
    ex_slice name = ex_slice_of(s->ptr, variable_length(*s));
    const char *close = s->len ? memchr(s->ptr, '}', s->len) : NULL;
    size_t inside = close ? (size_t)(close - s->ptr) : 0;
    bool has_default = name.len < inside && s->ptr[name.len] == ':';
    if (!close || name.len == 0 || (name.len != inside && !has_default)) {
        (void)snprintf(why, CONFIG_SHOWN_SIZE,
                       "a ${ begins no ${VAR} or ${VAR:default} (write $${ for the text ${)");
        return false;
    }
    const char *value = config_getenv(environ, name);
    if (!value && !has_default) {
        (void)snprintf(why, CONFIG_SHOWN_SIZE, "variable %.*s is not set and has no default",
                       name.len > 80 ? 80 : (int)name.len, name.ptr);
        return false;
    }
    if (value)
        ex_buf_put_str(out, value);
    else
        ex_buf_put(out, ex_slice_of(s->ptr + name.len + 1, inside - name.len - 1));
    *s = ex_slice_of(s->ptr + inside + 1, s->len - inside - 1);
    return true;
}

bool config_expand(ex_slice text, char *const *environ, ex_buf *out, char why[CONFIG_SHOWN_SIZE])
{
    while (text.len) {
        const char *dollar = memchr(text.ptr, '$', text.len);
        size_t plain = dollar ? (size_t)(dollar - text.ptr) : text.len;
        ex_buf_put(out, ex_slice_of(text.ptr, plain));
        text = ex_slice_of(text.ptr + plain, text.len - plain);
        if (ex_slice_starts(text, EX_S("$${"))) {
            ex_buf_put_str(out, "${");
            text = ex_slice_of(text.ptr + 3, text.len - 3);
        } else if (ex_slice_starts(text, EX_S("${"))) {
            text = ex_slice_of(text.ptr + 2, text.len - 2);
            if (!expand_one(&text, environ, out, why))
                return false;
        } else if (text.len) {
            ex_buf_put_char(out, '$');
            text = ex_slice_of(text.ptr + 1, text.len - 1);
        }
    }
    if (ex_buf_status(out) == EX_OK)
        return true;
    (void)snprintf(why, CONFIG_SHOWN_SIZE, "the value is too long after expansion");
    return false;
}
