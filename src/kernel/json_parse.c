/* json_parse.c: the strict JSON reader, with or without a tree.
 *
 * One pass, recursive with a depth limit. The children of an open array or
 * object wait on a scratch stack and are copied to the arena as one block when
 * it closes, so that items and members lie side by side. Strings are borrowed
 * from the text unless they hold an escape.
 *
 * Duplicate keys: the first FEW_KEYS keys of an object are compared as they
 * come, behind a 64-bit filter that makes most comparisons needless; a larger
 * object is checked once more with a hash table when it closes, so no input
 * costs quadratic time.
 *
 * The same functions check without a tree (is_tree false): only the keys of
 * open objects are kept then. A failure is kept as a place and a text; line
 * and column are counted afterwards. */
#include <excore/json.h>

#include "kernel/json_number.h"
#include "kernel/json_scan.h"
#include "kernel/map.h"
#include "kernel/utf8.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>

#define DEFAULT_DEPTH 64
#define LARGEST_DEPTH 1024 /* keeps the recursion well inside any thread's stack */
#define FEW_KEYS      32
#define FIRST_STACK   4096

typedef struct parser {
    const char *at, *end;
    ex_arena *arena;
    uint32_t depth, max_depth;
    bool is_tree;

    /* children of the open arrays and objects; starts in first_stack, grows on the heap */
    char *stack;
    size_t top, capacity;

    /* the failure */
    ex_status status;
    const char *failed_at;
    const char *code; /* NULL: the status's own */
    const char *reason;

    alignas(max_align_t) char first_stack[FIRST_STACK];
} parser;

/* ---- Failures ---- */

static bool fail(parser *p, const char *at, const char *code, const char *reason)
{
    p->status = EX_EMALFORMED;
    p->failed_at = at;
    p->code = code;
    p->reason = reason;
    return false;
}

static bool malformed(parser *p, const char *at, const char *reason)
{
    return fail(p, at, "MALFORMED_JSON", reason);
}

static bool no_memory(parser *p, bool is_limit)
{
    p->status = is_limit ? EX_ETOOLARGE : EX_ENOMEM;
    p->failed_at = p->at;
    p->reason = is_limit ? "the JSON text needs more memory than allowed" : "out of memory";
    return false;
}

static void *take_memory(parser *p, size_t size)
{
    void *memory = ex_arena_alloc(p->arena, size);
    if (!memory)
        (void)no_memory(p, size > p->arena->limit_bytes - p->arena->used_bytes);
    return memory;
}

static ex_status report(const parser *p, const char *start, ex_error *err)
{
    if (p->status != EX_EMALFORMED)
        return ex_raise(err, p->status, "%s", p->reason);
    size_t line = 1;
    const char *line_start = start;
    for (const char *at = start; (at = memchr(at, '\n', (size_t)(p->failed_at - at))) != NULL;
         line++)
        line_start = ++at;
    ex_status st = ex_raise(err, EX_EMALFORMED, "line %zu, column %zu: %s", line,
                            (size_t)(p->failed_at - line_start) + 1, p->reason);
    ex_error_set_code(err, p->code);
    return st;
}

/* ---- The scratch stack ---- */

static bool grow_stack(parser *p)
{
    size_t capacity = p->capacity * 2;
    if (p->capacity > p->arena->limit_bytes) /* what waits here would not fit the arena either */
        return no_memory(p, true);
    bool is_first = p->stack == p->first_stack;
    char *stack = realloc(is_first ? NULL : p->stack, capacity);
    if (!stack)
        return no_memory(p, false);
    if (is_first)
        memcpy(stack, p->first_stack, p->top);
    p->stack = stack;
    p->capacity = capacity;
    return true;
}

static inline bool push(parser *p, const void *child, size_t size)
{
    if (size > p->capacity - p->top && !grow_stack(p))
        return false;
    memcpy(p->stack + p->top, child, size);
    p->top += size;
    return true;
}

/* Move the children above `base` to the arena. No children: NULL. */
static inline bool pop_to_arena(parser *p, size_t base, void *ret_block)
{
    size_t size = p->top - base;
    void *block = NULL;
    if (size > 0) {
        block = take_memory(p, size);
        if (!block)
            return false;
        memcpy(block, p->stack + base, size);
        p->top = base;
    }
    memcpy(ret_block, &block, sizeof(block));
    return true;
}

/* ---- Strings ---- */

static int hex_value(const char *p)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i];
        int letter = c | 0x20;
        int digit = c >= '0' && c <= '9'             ? c - '0'
                    : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                                                     : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static char escaped_char(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
        return c;
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

/* The escape at `at` (a backslash): its length in the text and its code point; 0 when it is bad. */
static size_t read_escape(const char *at, const char *end, uint32_t *ret_code)
{
    if (end - at < 2)
        return 0;
    *ret_code = (unsigned char)escaped_char(at[1]);
    if (*ret_code)
        return 2;
    int high = at[1] == 'u' && end - at >= 6 ? hex_value(at + 2) : -1;
    if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF))
        return 0;
    *ret_code = (uint32_t)high;
    if (high < 0xD800 || high > 0xDFFF)
        return 6;
    bool is_pair = end - at >= 12 && at[6] == '\\' && at[7] == 'u';
    int low = is_pair ? hex_value(at + 8) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *ret_code = 0x10000 + (((uint32_t)high - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
    return 12;
}

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)((0xF00u >> len) | code); /* 110…, 1110…, 11110… in the low byte */
    return len;
}

/* From behind the opening quote to the closing one; everything between is checked. */
static inline bool scan_string(parser *p, bool *ret_has_escape)
{
    const char *at = p->at, *end = p->end;
    *ret_has_escape = false;
    for (;;) {
        at = json_plain_end(at, end);
        if (at == end)
            return malformed(p, at, "the string does not end");
        if (*at == '"')
            break;
        size_t len;
        uint32_t code;
        if (*at == '\\') {
            *ret_has_escape = true;
            len = read_escape(at, end, &code);
            if (!len)
                return malformed(p, at, "bad escape, or a surrogate without its pair");
        } else {
            len =
                (unsigned char)*at >= 0x80 ? ex_utf8_step(ex_slice_of(at, (size_t)(end - at))) : 0;
            if (!len)
                return malformed(p, at,
                                 (unsigned char)*at >= 0x80
                                     ? "bytes that are not UTF-8"
                                     : "control character in a string; escape it");
        }
        at += len;
    }
    p->at = at;
    return true;
}

/* A checked string with escapes, copied to the arena without them. */
static bool decode_string(parser *p, ex_slice raw, ex_slice *ret)
{
    char *out = take_memory(p, raw.len); /* an escape is never shorter than what it stands for */
    if (!out)
        return false;
    const char *at = raw.ptr, *end = raw.ptr + raw.len;
    size_t len = 0;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((slash ? slash : end) - at);
        memcpy(out + len, at, run);
        len += run;
        at += run;
        if (slash) {
            uint32_t code = 0;
            at += read_escape(at, end, &code);
            len += put_utf8(out + len, code);
        }
    }
    *ret = ex_slice_of(out, len);
    return true;
}

/* At the opening quote. `is_wanted`: the decoded text is needed. */
static inline bool parse_string(parser *p, bool is_wanted, ex_slice *ret)
{
    const char *start = ++p->at;
    bool has_escape;
    if (!scan_string(p, &has_escape))
        return false;
    *ret = ex_slice_of(start, (size_t)(p->at - start));
    p->at++;
    return !has_escape || !is_wanted || decode_string(p, *ret, ret);
}

/* ---- Numbers ---- */

static inline bool is_digit(const char *at, const char *end)
{
    return at < end && (unsigned char)(*at - '0') < 10;
}

/* Fraction and exponent, from behind the integer digits. */
static bool scan_real(parser *p, const char *at, bool *ret_has_exponent)
{
    const char *end = p->end;
    if (*at == '.') {
        if (!is_digit(++at, end))
            return malformed(p, at, "a digit must follow the decimal point");
        while (is_digit(at, end))
            at++;
    }
    *ret_has_exponent = at < end && (*at | 0x20) == 'e';
    if (*ret_has_exponent) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        if (!is_digit(at, end))
            return malformed(p, at, "a digit must follow the exponent sign");
        while (is_digit(at, end))
            at++;
    }
    p->at = at;
    return true;
}

static bool finish_double(parser *p, const char *start, bool may_overflow, ex_json *ret)
{
    ret->kind = EX_JSON_DOUBLE;
    ret->as.number = 0;
    if (!p->is_tree && !may_overflow)
        return true;
    if (!json_number_parse(ex_slice_of(start, (size_t)(p->at - start)), &ret->as.number))
        return malformed(p, start, "the number is too large");
    return true;
}

/* Twenty digits may still fit 64 bits; more never do (the first one is not 0). */
static bool finish_long_integer(parser *p, const char *start, const char *digits, ex_json *ret)
{
    uint64_t n = 0;
    bool is_big = p->at - digits > 20;
    for (const char *at = digits; !is_big && at < p->at; at++)
        is_big = __builtin_mul_overflow(n, 10, &n) ||
                 __builtin_add_overflow(n, (uint64_t)(*at - '0'), &n);
    if (is_big || digits != start)
        return finish_double(p, start, true, ret);
    ret->kind = EX_JSON_UINT;
    ret->as.u64 = n;
    return true;
}

static void finish_integer(uint64_t n, bool is_negative, ex_json *ret)
{
    ret->kind = n > (uint64_t)INT64_MAX ? EX_JSON_UINT : EX_JSON_INT;
    ret->as.u64 = n;
    if (is_negative) {
        ret->kind = EX_JSON_INT;
        ret->as.i64 = n ? -(int64_t)(n - 1) - 1 : 0; /* in this order INT64_MIN does not overflow */
    }
}

static bool parse_number(parser *p, ex_json *ret)
{
    const char *start = p->at, *end = p->end;
    bool is_negative = *start == '-';
    const char *digits = start + is_negative, *at = digits;
    if (!is_digit(at, end))
        return malformed(p, at, "a digit must follow the minus sign");
    uint64_t n = 0;
    for (; is_digit(at, end); at++)
        n = n * 10 + (uint64_t)(*at - '0'); /* may wrap; then there are more than 19 digits */
    if (*digits == '0' && at - digits > 1)
        return malformed(p, digits, "a number must not begin with 0");
    ptrdiff_t count = at - digits;
    if (at < end && (*at == '.' || (*at | 0x20) == 'e')) {
        bool has_exponent;
        return scan_real(p, at, &has_exponent) &&
               finish_double(p, start, has_exponent || count > 300, ret);
    }
    p->at = at;
    if (count > 19 || (is_negative && n > (uint64_t)INT64_MAX + 1))
        return finish_long_integer(p, start, digits, ret);
    finish_integer(n, is_negative, ret);
    return true;
}

/* ---- Duplicate keys ---- */

static bool fail_duplicate(parser *p, const char *key_at)
{
    return fail(p, key_at, "DUPLICATE_KEY", "the object has this key already");
}

/* A bit out of 64 that equal keys share. */
static inline uint64_t key_bit(ex_slice key)
{
    if (key.len == 0)
        return 1;
    unsigned mix = (unsigned char)key.ptr[0] * 7u + (unsigned char)key.ptr[key.len - 1] * 11u +
                   (unsigned char)key.ptr[key.len / 2] * 29u + (unsigned)key.len;
    return UINT64_C(1) << (mix & 63);
}

static inline bool is_among(const parser *p, size_t base, uint32_t count, ex_slice key)
{
    const ex_json_member *members = (const void *)(p->stack + base);
    for (uint32_t i = 0; i < count; i++)
        if (ex_slice_eq(members[i].key, key))
            return true;
    return false;
}

/* Where the key of a value begins: back over blanks, colon and the key. */
static const char *key_before(const char *value)
{
    const char *at = value;
    while (*--at != '"') /* the key's closing quote: only blanks and the colon lie between */
        ;
    for (;;) { /* a quote inside the key has an odd number of backslashes before it */
        while (*--at != '"')
            ;
        size_t slashes = 0;
        while (at[-1 - (ptrdiff_t)slashes] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return at;
    }
}

typedef struct key_slot {
    uint32_t number; /* of the member, from 1; 0: free */
    uint32_t hash;
} key_slot;

/* The second member of an equal pair, or NULL. */
static const ex_json_member *find_pair(const ex_json_member *members, uint32_t count,
                                       key_slot *slots, size_t mask)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t hash = ex_hash(members[i].key);
        size_t at = hash & mask;
        for (; slots[at].number; at = (at + 1) & mask)
            if (slots[at].hash == (uint32_t)(hash >> 32) &&
                ex_slice_eq(members[slots[at].number - 1].key, members[i].key))
                return &members[i];
        slots[at] = (key_slot){i + 1, (uint32_t)(hash >> 32)};
    }
    return NULL;
}

static bool check_many_keys(parser *p, size_t base, uint32_t count)
{
    size_t capacity = 128;
    while (capacity < (size_t)count * 2)
        capacity *= 2;
    ex_arena_mark mark = ex_arena_save(p->arena);
    key_slot *slots = take_memory(p, capacity * sizeof(*slots));
    if (!slots)
        return false;
    memset(slots, 0, capacity * sizeof(*slots));
    const ex_json_member *pair =
        find_pair((const void *)(p->stack + base), count, slots, capacity - 1);
    ex_arena_restore(p->arena, mark);
    return !pair || fail_duplicate(p, key_before(pair->value.raw.ptr));
}

/* ---- Values ---- */

/* Skip blanks; false at the end of the text. */
static inline bool at_token(parser *p)
{
    while (p->at < p->end) {
        unsigned char c = (unsigned char)*p->at;
        if (c > ' ' || (c != ' ' && c != '\n' && c != '\t' && c != '\r'))
            return true;
        p->at++;
    }
    return false;
}

static bool parse_value(parser *p, ex_json *ret);

static inline bool enter(parser *p)
{
    if (p->depth == p->max_depth)
        return fail(p, p->at, "JSON_TOO_DEEP", "nested too deeply");
    p->depth++;
    p->at++;
    return true;
}

/* After a child: at the next one (true, *ret_is_closed false), or behind the closing bracket. */
static inline bool next_child(parser *p, char bracket, bool *ret_is_closed)
{
    if (!at_token(p) || (*p->at != ',' && *p->at != bracket))
        return malformed(p, p->at, bracket == ']' ? "expected , or ]" : "expected , or }");
    *ret_is_closed = *p->at++ == bracket;
    return true;
}

static bool parse_array(parser *p, ex_json *ret)
{
    size_t base = p->top;
    uint32_t count = 0;
    if (!enter(p))
        return false;
    bool is_closed = at_token(p) && *p->at == ']';
    p->at += is_closed;
    for (; !is_closed; count++) {
        ex_json item;
        if (!parse_value(p, &item) || (p->is_tree && !push(p, &item, sizeof(item))) ||
            !next_child(p, ']', &is_closed))
            return false;
        if (count == UINT32_MAX - 1)
            return no_memory(p, true);
    }
    p->depth--;
    ret->kind = EX_JSON_ARRAY;
    ret->count = count;
    ret->as.items = NULL;
    return !p->is_tree || pop_to_arena(p, base, &ret->as.items);
}

/* `*seen`: the bits of the keys so far. */
static inline bool parse_key(parser *p, size_t base, uint32_t count, uint64_t *seen, ex_slice *ret)
{
    if (!at_token(p) || *p->at != '"')
        return malformed(p, p->at, "expected a key in quotes");
    const char *key_at = p->at;
    if (!parse_string(p, true, ret))
        return false;
    if (count < FEW_KEYS) {
        uint64_t bit = key_bit(*ret);
        if ((*seen & bit) && is_among(p, base, count, *ret))
            return fail_duplicate(p, key_at);
        *seen |= bit;
    }
    if (!at_token(p) || *p->at != ':')
        return malformed(p, p->at, "expected : after the key");
    p->at++;
    return true;
}

static bool parse_object(parser *p, ex_json *ret)
{
    size_t base = p->top;
    uint32_t count = 0;
    uint64_t seen = 0;
    if (!enter(p))
        return false;
    bool is_closed = at_token(p) && *p->at == '}';
    p->at += is_closed;
    for (; !is_closed; count++) {
        ex_json_member member;
        if (!parse_key(p, base, count, &seen, &member.key) || !parse_value(p, &member.value) ||
            !push(p, &member, sizeof(member)) || !next_child(p, '}', &is_closed))
            return false;
        if (count == UINT32_MAX - 1)
            return no_memory(p, true);
    }
    if (count > FEW_KEYS && !check_many_keys(p, base, count))
        return false;
    p->depth--;
    ret->kind = EX_JSON_OBJECT;
    ret->count = count;
    ret->as.members = NULL;
    if (p->is_tree)
        return pop_to_arena(p, base, &ret->as.members);
    p->top = base;
    return true;
}

static inline bool parse_word(parser *p, const char *word, size_t len)
{
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0)
        return malformed(p, p->at, "expected a value");
    p->at += len;
    return true;
}

static inline bool parse_bool(parser *p, bool value, ex_json *ret)
{
    ret->kind = EX_JSON_BOOL;
    ret->as.boolean = value;
    return parse_word(p, value ? "true" : "false", value ? 4 : 5);
}

static inline bool parse_by_first_byte(parser *p, ex_json *ret)
{
    switch (*p->at) {
    case '"':
        ret->kind = EX_JSON_STRING;
        return parse_string(p, p->is_tree, &ret->as.text);
    case '{':
        return parse_object(p, ret);
    case '[':
        return parse_array(p, ret);
    case 't':
        return parse_bool(p, true, ret);
    case 'f':
        return parse_bool(p, false, ret);
    case 'n':
        ret->kind = EX_JSON_NULL;
        ret->as.u64 = 0;
        return parse_word(p, "null", 4);
    default:
        if (*p->at != '-' && !is_digit(p->at, p->end))
            return malformed(p, p->at, "expected a value");
        return parse_number(p, ret);
    }
}

static bool parse_value(parser *p, ex_json *ret)
{
    if (!at_token(p))
        return malformed(p, p->at, "expected a value, the text ends");
    const char *start = p->at;
    ret->count = 0;
    if (!parse_by_first_byte(p, ret))
        return false;
    ret->raw = ex_slice_of(start, (size_t)(p->at - start));
    return true;
}

/* ---- Entry points ---- */

static ex_status run(ex_slice text, ex_arena *arena, const ex_json_options *options, bool is_tree,
                     ex_json *ret, ex_error *err)
{
    parser p;
    const char *start = text.len ? text.ptr : "";
    memset(&p, 0, offsetof(parser, first_stack));
    p.at = start;
    p.end = start + text.len;
    p.arena = arena;
    p.max_depth = options && options->max_depth ? options->max_depth : DEFAULT_DEPTH;
    p.max_depth = p.max_depth < LARGEST_DEPTH ? p.max_depth : LARGEST_DEPTH;
    p.is_tree = is_tree;
    p.stack = p.first_stack;
    p.capacity = sizeof(p.first_stack);
    if (parse_value(&p, ret) && at_token(&p))
        (void)malformed(&p, p.at, "text after the value");
    if (p.stack != p.first_stack)
        free(p.stack);
    return p.status ? report(&p, start, err) : EX_OK;
}

ex_status ex_json_parse(ex_slice text, ex_arena *arena, const ex_json_options *options,
                        ex_json *ret, ex_error *err)
{
    ex_json value;
    ex_arena_mark mark = ex_arena_save(arena);
    ex_status st = run(text, arena, options, true, &value, err);
    if (st)
        ex_arena_restore(arena, mark);
    else
        *ret = value;
    return st;
}

ex_status ex_json_validate(ex_slice text, ex_arena *arena, const ex_json_options *options,
                           ex_error *err)
{
    ex_json value;
    ex_arena_mark mark = ex_arena_save(arena);
    ex_status st = run(text, arena, options, false, &value, err);
    ex_arena_restore(arena, mark);
    return st;
}

const ex_json *ex_json_get(const ex_json *object, ex_slice key)
{
    if (!object || object->kind != EX_JSON_OBJECT)
        return NULL;
    for (uint32_t i = 0; i < object->count; i++)
        if (ex_slice_eq(object->as.members[i].key, key))
            return &object->as.members[i].value;
    return NULL;
}
