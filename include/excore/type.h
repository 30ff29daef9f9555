/* type.h: one description of a type, from which everything else comes.
 *
 * An ex_type lists the fields of a C struct. JSON reading, writing and
 * validation, JSON Schema, OpenAPI, view tables and deep copies are made from
 * it. A descriptor is written with the macros below or generated; the runtime
 * cannot tell the difference.
 *
 *     typedef struct order_item {
 *         ex_slice product_id;
 *         int64_t quantity;
 *         ex_opt_i64 discount_cents;
 *     } order_item;
 *
 *     EX_TYPE(order_item, "OrderItem",
 *         EX_FIELD(order_item, product_id, .min_len = 1, .max_len = 64),
 *         EX_FIELD(order_item, quantity, .min = 1, .max = 1000),
 *         EX_FIELD(order_item, discount_cents, .min = 0));
 *
 * defines `const ex_type order_item_type`. EX_FIELD takes the kind from the
 * member's C type:
 *
 *     bool, int32_t, uint32_t, int64_t, uint64_t, double   required
 *     ex_slice            text; required
 *     ex_opt_bool, ex_opt_i64, ex_opt_double, ex_opt_text   may be absent or null
 *     ex_time             a point in time, RFC 3339 in JSON
 *     ex_raw_json         any JSON value, kept as text
 *
 * Enumerations, nested structs and lists name their parts:
 *
 *     EX_ENUM(order, status, order_status)        int-sized enum member, EX_ENUM_TYPE table
 *     EX_STRUCT(order, address, address)          nested struct member
 *     EX_OPT_STRUCT(order, customer, customer)    pointer member, NULL when absent
 *     EX_LIST_OF(order, items, order_item)        EX_LIST(order_item) member
 *     EX_TEXTS(order, labels)                     EX_LIST(ex_slice) member
 *     EX_KEY(order, order_id)                     text that names the object itself
 *
 * A list is declared in the struct and described beside it:
 *
 *     typedef struct order {
 *         ex_slice order_id;
 *         EX_LIST(order_item) items;
 *         EX_LIST(ex_slice) labels;
 *     } order;
 *     EX_TYPE(order, "Order", EX_KEY(order, order_id), EX_LIST_OF(order, items, order_item),
 *             EX_TEXTS(order, labels));
 *
 *     order_item *item = ex_list_add(memory, &o->items);     NULL: no memory, which the arena keeps
 *     if (item)
 *         *item = *e_item;
 *     for (uint32_t i = 0; i < o->items.count; i++)
 *         total += o->items.items[i].quantity;
 *
 * Every EX_LIST is a type of its own, so one is not assigned to another: a list that travels (into an
 * event, say) gets a name, `typedef EX_LIST(order_item) order_items;`, and is used by that name.
 *
 * What is checked. The compiler refuses a field of another struct than the type's, a member whose C
 * type its macro is not for, a list or nested struct of another type than is named. When the
 * application starts a struct with bytes that no field covers, more than padding can be, is refused:
 * a member was left out, and would be lost in the log and in every copy. What nothing can see:
 *
 *   - a member that is left out and fits into padding, a bool behind a bool say;
 *   - an enum member that is declared with EX_FIELD: to C it is a number, so is it in JSON;
 *   - EX_ENUM with the texts of another enumeration;
 *   - two members of one type described under each other's name by hand-written tables. */
#ifndef EXCORE_TYPE_H
#define EXCORE_TYPE_H

#include <excore/json.h>

EX_BEGIN_DECLS

/* ---- Member types ---- */

/* clang-format off */
typedef struct ex_opt_bool { bool is_set; bool value; } ex_opt_bool;
typedef struct ex_opt_i64 { bool is_set; int64_t value; } ex_opt_i64;
typedef struct ex_opt_double { bool is_set; double value; } ex_opt_double;
typedef struct ex_opt_text { bool is_set; ex_slice value; } ex_opt_text;
typedef struct ex_time { int64_t us; } ex_time;         /* microseconds since 1970, UTC */
typedef struct ex_raw_json { ex_slice text; } ex_raw_json; /* valid JSON; empty is written as null */

/** A growing list. Add with ex_list_add; the memory is an arena's. */
#define EX_LIST(item_type) struct { item_type *items; uint32_t count, room; }

/* clang-format on */

/** Room for one more at the end, cleared; NULL when the arena is exhausted (the arena remembers:
 *  ex_arena_has_failed). The result must be cast or assigned to the item type. */
#define ex_list_add(arena, list)                                                                   \
    ((__typeof__((list)->items))ex_list_grow((arena), (void **)&(list)->items, &(list)->count,     \
                                             &(list)->room, sizeof(*(list)->items)))
/** Remove the item at `index`, keeping the order. */
#define ex_list_remove(list, index)                                                                \
    ex_list_cut((list)->items, &(list)->count, sizeof(*(list)->items), (index))

EX_API void *ex_list_grow(ex_arena *arena, void **items, uint32_t *count, uint32_t *room,
                          size_t item_size);
EX_API void ex_list_cut(void *items, uint32_t *count, size_t item_size, uint32_t index);

/* ---- Descriptors ---- */

/* clang-format off */
typedef enum ex_kind {
    EX_KIND_BOOL, EX_KIND_I32, EX_KIND_U32, EX_KIND_I64, EX_KIND_U64, EX_KIND_DOUBLE,
    EX_KIND_TEXT, EX_KIND_TIME, EX_KIND_JSON,
    EX_KIND_OPT_BOOL, EX_KIND_OPT_I64, EX_KIND_OPT_DOUBLE, EX_KIND_OPT_TEXT,
    EX_KIND_ENUM, EX_KIND_STRUCT, EX_KIND_OPT_STRUCT, EX_KIND_LIST, EX_KIND_TEXTS
} ex_kind;
/* clang-format on */

typedef struct ex_type ex_type;

/** The texts of an enumeration: value i is names[i]. */
typedef struct ex_enum_type {
    const char *name;
    const char *const *names;
    uint32_t count;
} ex_enum_type;

typedef struct ex_field {
    const char *name; /* in JSON and SQL: the member's name */
    ex_kind kind;
    uint32_t offset;
    uint32_t size, align; /* of the member; 0 in tables without the macros: then not checked */
    bool is_key;          /* names the object: the route's {id}; a table's primary key */
    const ex_type *type;  /* STRUCT, OPT_STRUCT, LIST */
    const ex_enum_type *enum_type; /* ENUM */
    double min, max; /* numbers, both ends included. Not given: min -INFINITY, or 0 under a max; max
                        INFINITY. Without the macros: both 0, or max 0 under a positive min */
    uint32_t min_len, max_len;     /* text, in characters; max 0: 65,536 */
    uint32_t min_items, max_items; /* lists; max 0: 10,000 */
    const char *format; /* text: "email", "uri", "uuid", "date"; checked, other words at start */
    const char *doc;
} ex_field;

struct ex_type {
    const char *name;        /* "OrderItem": the event type, the schema's title */
    uint32_t schema_version; /* from 1 */
    uint32_t size;
    const ex_field *fields;
    uint32_t field_count;
    const char *doc;
};

/* clang-format off */
#ifndef __cplusplus

#define EX_KIND_OF(expression)                                                                     \
    _Generic((expression),                                                                         \
        bool: EX_KIND_BOOL, int32_t: EX_KIND_I32, uint32_t: EX_KIND_U32, int64_t: EX_KIND_I64,     \
        uint64_t: EX_KIND_U64, double: EX_KIND_DOUBLE, ex_slice: EX_KIND_TEXT,                     \
        ex_time: EX_KIND_TIME, ex_raw_json: EX_KIND_JSON, ex_opt_bool: EX_KIND_OPT_BOOL,           \
        ex_opt_i64: EX_KIND_OPT_I64, ex_opt_double: EX_KIND_OPT_DOUBLE,                            \
        ex_opt_text: EX_KIND_OPT_TEXT)
#define EX_KIND_OR_NONE_(expression)                                                               \
    _Generic((expression),                                                                         \
        bool: EX_KIND_BOOL, int32_t: EX_KIND_I32, uint32_t: EX_KIND_U32, int64_t: EX_KIND_I64,     \
        uint64_t: EX_KIND_U64, double: EX_KIND_DOUBLE, ex_slice: EX_KIND_TEXT,                     \
        ex_time: EX_KIND_TIME, ex_raw_json: EX_KIND_JSON, ex_opt_bool: EX_KIND_OPT_BOOL,           \
        ex_opt_i64: EX_KIND_OPT_I64, ex_opt_double: EX_KIND_OPT_DOUBLE,                            \
        ex_opt_text: EX_KIND_OPT_TEXT, default: -1)

/* The struct whose fields are listed: any, but inside of EX_TYPE's check its own. */
struct ex_owner_ { struct ex_any_owner_ *of; };
#define EX_IS_OWNER_(struct_type)                                                                  \
    _Generic(((struct ex_owner_ *)0)->of, struct ex_any_owner_ *: 1, struct_type *: 1, default: 0)
/* 0, or an error of the compiler with the text. */
#define EX_REFUSE_UNLESS_(condition, text)                                                         \
    (0 * sizeof(struct { _Static_assert(condition, text); char unused; }))
#define EX_IS_(expression, c_type) _Generic((expression), c_type: 1, default: 0)
#define EX_AT_(struct_type, member) (((struct_type *)0)->member)

#define EX_MEMBER_(struct_type, member, field_kind, is_fit, why, ...)                              \
    { .name = #member, .kind = (field_kind),                                                       \
      .offset = offsetof(struct_type, member) +                                                    \
                EX_REFUSE_UNLESS_(EX_IS_OWNER_(struct_type), #struct_type "." #member              \
                                  " is listed in the EX_TYPE of another struct") +                 \
                EX_REFUSE_UNLESS_(is_fit, #struct_type "." #member why),                           \
      .size = sizeof(EX_AT_(struct_type, member)),                                                 \
      .align = __alignof__(EX_AT_(struct_type, member)),                                           \
      .min = -__builtin_inf(), .max = __builtin_inf(), __VA_ARGS__ }

#define EX_FIELD(struct_type, member, ...)                                                         \
    EX_MEMBER_(struct_type, member, EX_KIND_OR_NONE_(EX_AT_(struct_type, member)),                 \
               EX_KIND_OR_NONE_(EX_AT_(struct_type, member)) >= 0,                                 \
               " is of a type that EX_FIELD does not know; lists are EX_LIST_OF or EX_TEXTS, "     \
               "structs EX_STRUCT or EX_OPT_STRUCT, texts ex_slice", __VA_ARGS__)
#define EX_KEY(struct_type, member, ...)                                                           \
    EX_MEMBER_(struct_type, member, EX_KIND_TEXT, EX_IS_(EX_AT_(struct_type, member), ex_slice),   \
               " is a key and not an ex_slice", .is_key = true, .min_len = 1, .max_len = 200,      \
               __VA_ARGS__)
#define EX_ENUM(struct_type, member, enumeration, ...)                                             \
    EX_MEMBER_(struct_type, member, EX_KIND_ENUM,                                                  \
               _Generic(EX_AT_(struct_type, member), int32_t: 1, uint32_t: 1, default: 0),         \
               " is not int-sized as an enumeration is", .enum_type = &enumeration##_enum,         \
               __VA_ARGS__)
#define EX_STRUCT(struct_type, member, nested, ...)                                                \
    EX_MEMBER_(struct_type, member, EX_KIND_STRUCT, EX_IS_(&EX_AT_(struct_type, member), nested *), \
               " is not a struct " #nested, .type = &nested##_type, __VA_ARGS__)
#define EX_OPT_STRUCT(struct_type, member, nested, ...)                                            \
    EX_MEMBER_(struct_type, member, EX_KIND_OPT_STRUCT,                                            \
               _Generic(EX_AT_(struct_type, member), nested *: 1, const nested *: 1, default: 0),  \
               " is not a pointer to a struct " #nested, .type = &nested##_type, __VA_ARGS__)
#define EX_LIST_OF(struct_type, member, item, ...)                                                 \
    EX_MEMBER_(struct_type, member, EX_KIND_LIST,                                                  \
               EX_IS_(EX_AT_(struct_type, member).items, item *), " is not an EX_LIST(" #item ")", \
               .type = &item##_type, __VA_ARGS__)
#define EX_TEXTS(struct_type, member, ...)                                                         \
    EX_MEMBER_(struct_type, member, EX_KIND_TEXTS,                                                 \
               EX_IS_(EX_AT_(struct_type, member).items, ex_slice *),                              \
               " is not an EX_LIST(ex_slice)", __VA_ARGS__)

/* What a field gives stands after the macro's own and takes its place. */
#if defined(__clang__)
#define EX_FIELDS_BEGIN_                                                                           \
    _Pragma("clang diagnostic push") _Pragma("clang diagnostic ignored \"-Winitializer-overrides\"")
#define EX_FIELDS_END_ _Pragma("clang diagnostic pop")
#else
#define EX_FIELDS_BEGIN_                                                                           \
    _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Woverride-init\"")
#define EX_FIELDS_END_ _Pragma("GCC diagnostic pop")
#endif

/** Define `const ex_type ctype_type`. EX_TYPE_V gives the schema version. */
#define EX_TYPE_V(ctype, wire_name, version, ...)                                                  \
    EX_FIELDS_BEGIN_                                                                               \
    static const ex_field ctype##_fields[] = {__VA_ARGS__};                                        \
    EX_UNUSED static inline void ctype##_check_fields(void)                                        \
    {                                                                                              \
        struct ex_owner_ { ctype *of; };                                                           \
        (void)sizeof((const ex_field[]){__VA_ARGS__});                                             \
    }                                                                                              \
    EX_FIELDS_END_                                                                                 \
    const ex_type ctype##_type = {(wire_name), (version), sizeof(ctype), ctype##_fields,           \
                                  sizeof(ctype##_fields) / sizeof(ctype##_fields[0]), NULL}
#define EX_TYPE(ctype, wire_name, ...) EX_TYPE_V(ctype, wire_name, 1, __VA_ARGS__)

/** Define `const ex_enum_type ctype_enum` from the texts in the order of the values. */
#define EX_ENUM_TYPE(ctype, ...)                                                                   \
    static const char *const ctype##_names[] = {__VA_ARGS__};                                      \
    const ex_enum_type ctype##_enum = {#ctype, ctype##_names,                                      \
                                       sizeof(ctype##_names) / sizeof(ctype##_names[0])}
#endif /* __cplusplus */
/* clang-format on */

/* ---- What is done with them. Thread: any. Blocking: no. ---- */

typedef struct ex_read_options {
    ex_slice key; /* value for the key field when the JSON lacks it; another value is EX_EINVAL */
    bool ignore_unknown; /* unknown members are skipped instead of refused (stored events) */
} ex_read_options;

/** Fill the struct at `ret` (of type->size bytes) from JSON text and check every bound.
 *  Text and lists are copied into `arena`; all faults end with the first one, named in err->field
 * as "items[2].quantity".
 *  @param options NULL for the defaults
 *  @return EX_OK, EX_EMALFORMED (no JSON), EX_EINVAL (does not fit the type), EX_ENOMEM,
 * EX_ETOOLARGE */
EX_API EX_NODISCARD ex_status ex_type_read(const ex_type *type, ex_slice json, ex_arena *arena,
                                           const ex_read_options *options, void *ret,
                                           ex_error *err);
/** The same from a tree. */
EX_API EX_NODISCARD ex_status ex_type_read_json(const ex_type *type, const ex_json *json,
                                                ex_arena *arena, const ex_read_options *options,
                                                void *ret, ex_error *err);
/** Append the struct as JSON, fields in the order of the table, absent optionals left out.
 *  Check ex_buf_status(out). */
EX_API void ex_type_write(const ex_type *type, const void *value, ex_buf *out);
/** Check the bounds of a filled struct. @return EX_OK, EX_EINVAL */
EX_API EX_NODISCARD ex_status ex_type_validate(const ex_type *type, const void *value,
                                               ex_error *err);
/** Deep copy: everything `from` points to is copied into `arena`. @return EX_OK, EX_ENOMEM */
EX_API EX_NODISCARD ex_status ex_type_copy(const ex_type *type, const void *from, ex_arena *arena,
                                           void *ret, ex_error *err);
/** Append the JSON Schema (2020-12) with nested types under $defs. */
EX_API void ex_type_write_schema(const ex_type *type, ex_buf *out);
/** Check the table itself: names, duplicates, kinds with their parts. For start-up. @return EX_OK,
 * EX_EINVAL */
EX_API EX_NODISCARD ex_status ex_type_check(const ex_type *type, ex_error *err);
/** The text of an enumeration's value, "?" when out of range. */
EX_API const char *ex_enum_text(const ex_enum_type *type, int value);

EX_END_DECLS

#endif
