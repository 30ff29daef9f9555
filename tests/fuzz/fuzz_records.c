/* fuzz_records.c: what is read back from disk, damaged in every way. The first byte picks the
 * record.
 *
 *   0  a row of the table events, any SQLite value in any column: a failure says EX_ECORRUPT; what
 *      is read goes through both JSON forms and through the packed form of the ring
 *   1  the stored outcome of a command: what is read is written and read again alike
 *   2  a stored event against its type: likewise
 *   3  a row of a view: likewise
 *
 * A column is one byte (kind: NULL, integer, text, bytes) and 8 bytes or a length byte and its
 * bytes. */
#include "fuzz/fuzz.h"

#include "api/event_json.h"
#include "runtime/outcome.h"
#include "runtime/row.h"
#include "store/event_block.h"
#include "store/sqlite/event_row.h"
#include "store/sqlite/schema.h"

#include <excore/type.h>

#define ARENA_BYTES (16u << 20)

/* ---- A type with every kind of member ---- */

typedef enum colour { RED, GREEN } colour;
EX_ENUM_TYPE(colour, "red", "green");

typedef struct part {
    ex_slice name;
    int64_t weight;
} part;
EX_TYPE(part, "Part", EX_FIELD(part, name), EX_FIELD(part, weight, .min = 1));

typedef struct thing {
    ex_slice thing_id;
    bool flag;
    uint32_t u32;
    int64_t i64;
    double number;
    ex_time at;
    colour tint;
    ex_raw_json any;
    ex_opt_bool maybe_flag;
    ex_opt_i64 maybe_int;
    ex_opt_double maybe_number;
    ex_opt_text maybe_text;
    part inner;
    part *maybe_inner;
    EX_LIST(part) parts;
    EX_LIST(ex_slice) labels;
} thing;
/* clang-format off */
EX_TYPE(thing, "Thing",
    EX_KEY(thing, thing_id), EX_FIELD(thing, flag), EX_FIELD(thing, u32), EX_FIELD(thing, i64),
    EX_FIELD(thing, number), EX_FIELD(thing, at), EX_ENUM(thing, tint, colour), EX_FIELD(thing, any),
    EX_FIELD(thing, maybe_flag), EX_FIELD(thing, maybe_int), EX_FIELD(thing, maybe_number),
    EX_FIELD(thing, maybe_text), EX_STRUCT(thing, inner, part), EX_OPT_STRUCT(thing, maybe_inner, part),
    EX_LIST_OF(thing, parts, part), EX_TEXTS(thing, labels));
/* clang-format on */

#define THING_COLUMNS      16
#define EVENT_COLUMN_COUNT 13

/* ---- Columns out of the input ---- */

typedef struct input {
    const uint8_t *at;
    size_t left;
} input;

static ex_slice take(input *in, size_t n)
{
    n = n < in->left ? n : in->left;
    ex_slice s = ex_slice_of(in->at, n);
    in->at += n;
    in->left -= n;
    return s;
}

static uint8_t take_byte(input *in)
{
    ex_slice s = take(in, 1);
    return s.len ? (uint8_t)s.ptr[0] : 0;
}

static int64_t take_number(input *in)
{
    int64_t number = 0;
    ex_slice bytes = take(in, sizeof(number));
    memcpy(&number, bytes.ptr, bytes.len);
    return number;
}

static void bind_column(input *in, sqlite3_stmt *st, int index)
{
    uint8_t kind = take_byte(in) % 4;
    if (kind == 0) {
        FUZZ_CHECK(sqlite3_bind_null(st, index) == SQLITE_OK);
    } else if (kind == 1) {
        FUZZ_CHECK(sqlite3_bind_int64(st, index, take_number(in)) == SQLITE_OK);
    } else {
        ex_slice bytes = take(in, take_byte(in));
        FUZZ_CHECK((kind == 2 ? bind_text(st, index, bytes) : bind_blob(st, index, bytes)) ==
                   SQLITE_OK);
    }
}

/* The connection lives as long as the process: its tables never change. */
static sqlite_conn *connection(void)
{
    static sqlite_conn conn;
    if (!conn.db) {
        const sqlite_conn_options options = {
            ":memory:", NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY,
            1u << 20};
        FUZZ_CHECK(sqlite_conn_open(&conn, &options, NULL) == EX_OK);
        FUZZ_CHECK(sqlite_schema_migrate(&conn, ":memory:", NULL) == EX_OK);
        FUZZ_CHECK(sqlite_conn_exec(&conn,
                                    "INSERT INTO types (id, name) VALUES (1, 'Placed'), (2, ''),"
                                    " (3, printf('%.*c', 255, 'x')), (4, printf('%.*c', 256, 'x'))",
                                    NULL) == EX_OK);
    }
    return &conn;
}

static sqlite3_stmt *select_columns(input *in, int count)
{
    static sqlite3_stmt *statements[EVENT_COLUMN_COUNT + THING_COLUMNS];
    sqlite3_stmt **st = &statements[count];
    if (!*st) {
        char sql[128];
        ex_buf text;
        ex_buf_init(&text, 0);
        ex_buf_put_str(&text, "SELECT ?1");
        for (int i = 2; i <= count; i++)
            ex_buf_printf(&text, ",?%d", i);
        FUZZ_CHECK(text.len < sizeof(sql));
        memcpy(sql, text.ptr, text.len);
        sql[text.len] = '\0';
        ex_buf_done(&text);
        FUZZ_CHECK(sqlite3_prepare_v2(connection()->db, sql, -1, st, NULL) == SQLITE_OK);
    }
    for (int i = 1; i <= count; i++)
        bind_column(in, *st, i);
    FUZZ_CHECK(sqlite3_step(*st) == SQLITE_ROW);
    return *st;
}

/* ---- Events ---- */

static void check_packed(const ex_event *e)
{
    event_block *b = event_block_new(e, 1);
    ex_event back;
    FUZZ_CHECK(b);
    event_block_event(b, 0, &back);
    FUZZ_CHECK(ex_slice_eq(back.stream, e->stream) && ex_slice_eq(back.type, e->type));
    FUZZ_CHECK(ex_slice_eq(back.data, e->data) && ex_slice_eq(back.metadata, e->metadata));
    FUZZ_CHECK(ex_slice_eq(back.tags.packed, e->tags.packed));
    event_block_unref(b);
}

static void read_event_row(input *in)
{
    sqlite3_stmt *st = select_columns(in, EVENT_COLUMN_COUNT);
    ex_event e;
    ex_error err = {0};
    ex_status status = event_row_read(connection(), st, EX_S(""), &e, &err);
    FUZZ_CHECK(status == EX_OK || (status == EX_ECORRUPT && err.message[0]));
    if (status == EX_OK) {
        ex_slice tag;
        size_t at = 0, tags = 0;
        while (ex_tags_next(e.tags, &at, &tag))
            tags += tag.len + 1;
        FUZZ_CHECK(tags <= e.tags.packed.len);
        check_packed(&e);
        for (int form = EVENT_PLAIN; form <= EVENT_CLOUDEVENT; form++) {
            ex_buf out;
            ex_buf_init(&out, 0);
            event_json_put(&out, &e, (event_form)form);
            FUZZ_CHECK(ex_buf_status(&out) == EX_OK && out.len > 0);
            ex_buf_done(&out);
        }
    }
    (void)sqlite3_reset(st); /* a SELECT of constants cannot fail */
}

/* ---- Outcomes ---- */

static void read_outcome(ex_slice text, ex_arena *arena)
{
    ex_command_result result, again;
    ex_error err = {0};
    ex_status status = outcome_read(text, arena, &result, &err);
    FUZZ_CHECK(status == EX_OK || status == EX_EREJECTED || status == EX_ECORRUPT ||
               status == EX_ENOMEM);
    FUZZ_CHECK(status == EX_OK || err.status == status);
    if (status && status != EX_EREJECTED)
        return;
    ex_buf out;
    ex_error rejection = {0};
    ex_buf_init(&out, 0);
    outcome_write(&result, status ? &err : NULL, &out);
    FUZZ_CHECK(ex_buf_status(&out) == EX_OK);
    FUZZ_CHECK(outcome_read(ex_buf_slice(&out), arena, &again, &rejection) == status);
    FUZZ_CHECK(status ? strcmp(rejection.code, err.code) == 0
                      : again.event_count == result.event_count);
    ex_buf_done(&out);
}

/* ---- Typed values ---- */

/* What was accepted is written as JSON that is accepted again and written alike. */
static void check_written(const thing *value, ex_arena *arena)
{
    ex_buf first, second;
    thing again;
    ex_buf_init(&first, 0);
    ex_buf_init(&second, 0);
    ex_type_write(&thing_type, value, &first);
    FUZZ_CHECK(ex_buf_status(&first) == EX_OK);
    FUZZ_CHECK(ex_type_read(&thing_type, ex_buf_slice(&first), arena, NULL, &again, NULL) == EX_OK);
    ex_type_write(&thing_type, &again, &second);
    FUZZ_CHECK(ex_slice_eq(ex_buf_slice(&first), ex_buf_slice(&second)));
    ex_buf_done(&first);
    ex_buf_done(&second);
}

static void read_typed_event(ex_slice text, ex_arena *arena)
{
    static const ex_read_options stored = {.ignore_unknown = true};
    thing value;
    ex_error err = {0};
    ex_status status = ex_type_read(&thing_type, text, arena, &stored, &value, &err);
    FUZZ_CHECK(status == EX_OK || (err.status == status && err.message[0]));
    if (status == EX_OK)
        check_written(&value, arena);
}

static ex_sql_value take_value(input *in)
{
    uint8_t kind = take_byte(in) % 4;
    if (kind == 0)
        return (ex_sql_value){.type = EX_SQL_TEXT, .is_null = true};
    if (kind == 1)
        return (ex_sql_value){.type = EX_SQL_I64, .as.i64 = take_number(in)};
    return (ex_sql_value){.type = kind == 2 ? EX_SQL_TEXT : EX_SQL_BLOB,
                          .as.bytes = take(in, take_byte(in))};
}

/* A row of any values, as a query gives it. */
static ex_sql_stmt *select_values(input *in)
{
    static ex_sql *db;
    ex_sql_stmt *st = NULL;
    ex_buf text;
    ex_buf_init(&text, 0);
    for (int i = 1; i <= THING_COLUMNS; i++)
        ex_buf_printf(&text, i == 1 ? "SELECT $%d" : ",$%d", i);
    FUZZ_CHECK(db || ex_sql_open(&(ex_sql_options){0}, &db, NULL) == EX_OK);
    FUZZ_CHECK(ex_sql_prepare(db, ex_buf_slice(&text), &st, NULL) == EX_OK);
    ex_buf_done(&text);
    for (uint32_t i = 1; i <= THING_COLUMNS; i++)
        ex_sql_bind(st, i, take_value(in));
    FUZZ_CHECK(ex_sql_step(st, NULL) == EX_OK);
    return st;
}

static void read_view_row(input *in, ex_arena *arena)
{
    ex_sql_stmt *st = select_values(in);
    ex_sql_value values[THING_COLUMNS];
    thing value;
    ex_error err = {0};
    ex_buf out;
    for (uint32_t i = 0; i < THING_COLUMNS; i++)
        values[i] = ex_sql_column(st, i);
    ex_status status = row_read(&thing_type, values, arena, &value, &err);
    FUZZ_CHECK(status == EX_OK || (status == EX_ECORRUPT && err.message[0]));
    ex_buf_init(&out, 0);
    ex_status written = row_write_json(&thing_type, st, &out, &err);
    FUZZ_CHECK(written == EX_OK || (written == EX_EINTERNAL && err.message[0]));
    FUZZ_CHECK(ex_buf_status(&out) == EX_OK);
    ex_buf_done(&out);
    if (status == EX_OK && ex_type_validate(&thing_type, &value, NULL) == EX_OK)
        check_written(&value, arena);
    ex_sql_reset(st);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ex_arena arena;
    input in = {data, size};
    uint8_t record = take_byte(&in) % 4;
    ex_arena_init(&arena, ARENA_BYTES);
    if (record == 0)
        read_event_row(&in);
    else if (record == 1)
        read_outcome(take(&in, in.left), &arena);
    else if (record == 2)
        read_typed_event(take(&in, in.left), &arena);
    else
        read_view_row(&in, &arena);
    ex_arena_done(&arena);
    return 0;
}
