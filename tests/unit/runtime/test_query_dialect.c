/* test_query_dialect.c: SQL that the engines read alike and answer differently is refused; the rest
 * gives the same bytes on both. issue 8, item 8 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "runtime/query_dialect.h"
#include "sql/sql.h"
#include "support/postgres.h"
#include "support/temp_dir.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

typedef enum colour { RED, GREEN } colour;
typedef struct thing {
    ex_slice id;
    ex_slice name;
    bool flag;
    ex_opt_bool maybe;
    int64_t n;
    uint64_t u;
    double x;
    ex_opt_double y;
    ex_opt_i64 m;
    ex_opt_text note;
    ex_time at;
    colour tint;
    ex_raw_json extra;
    ex_slice order; /* a reserved word */
} thing;
typedef struct thing thing_put;
/* clang-format off */
EX_ENUM_TYPE(colour, "red", "green");
#define THING_FIELDS(t)                                                                             \
    EX_FIELD(t, id, .is_key = true, .max_len = 4000), EX_FIELD(t, name), EX_FIELD(t, flag), EX_FIELD(t, maybe),       \
    EX_FIELD(t, n), EX_FIELD(t, u), EX_FIELD(t, x), EX_FIELD(t, y), EX_FIELD(t, m),                 \
    EX_FIELD(t, note), EX_FIELD(t, at), EX_ENUM(t, tint, colour), EX_FIELD(t, extra), EX_FIELD(t, order)
EX_TYPE(thing, "Thing", THING_FIELDS(thing));
EX_TYPE(thing_put, "ThingPut", THING_FIELDS(thing_put));
/* clang-format on */

/* What a query calculates. */
typedef struct sum_up {
    ex_slice id;
    ex_opt_i64 n;
    ex_opt_double x;
    ex_opt_double y;
    ex_opt_text t;
    ex_opt_bool b;
} sum_up;
EX_TYPE(sum_up, "SumUp", EX_FIELD(sum_up, id), EX_FIELD(sum_up, n), EX_FIELD(sum_up, x),
        EX_FIELD(sum_up, y), EX_FIELD(sum_up, t), EX_FIELD(sum_up, b));

typedef struct asked {
    ex_opt_text p;
    ex_opt_i64 k;
    ex_opt_bool f;
    ex_opt_double d;
} asked;
EX_TYPE(asked, "Asked", EX_FIELD(asked, p), EX_FIELD(asked, k), EX_FIELD(asked, f),
        EX_FIELD(asked, d));

/* n is said to be there, and is not. */
typedef struct null_key {
    ex_slice id;
    int64_t n;
} null_key;
EX_TYPE(null_key, "NullKey", EX_FIELD(null_key, id), EX_FIELD(null_key, n));

static ex_status when_put(ex_view_tx *tx, const thing_put *e, const ex_event *event)
{
    (void)event;
    return ex_row_store(tx, thing, e);
}

#define THING_EVENTS(WHEN) WHEN(thing_put, when_put)
extern const ex_view_def thing_view;
EX_VIEW(thing, "things", 1, THING_EVENTS, "name, order DESC", "tint, x");

static ex_query_def query_of(const char *sql)
{
    return (ex_query_def){.name = "asked-for",
                          .view = &thing_view,
                          .kind = EX_QUERY_LIST,
                          .params = &asked_type,
                          .row = &sum_up_type,
                          .order_by = {"id"},
                          .sql = sql};
}

/* ---- What is refused ---- */

/* clang-format off */
static const struct {
    const char *sql;
    const char *words; /* of the SQL, in the message; NULL: it is taken */
    const char *why;
} checked[] = {
    {"SELECT * FROM thing", NULL, NULL},
    {"select id, count(*) AS n FROM thing WHERE flag AND NOT maybe GROUP BY id HAVING count(*) > 1", NULL, NULL},
    {"SELECT id FROM thing WHERE name LIKE 'a%' ESCAPE '!' AND (:p IS NULL OR name = :p) -- comment's", NULL, NULL},
    {"SELECT id, /* it's \" */ 'it''s' AS t, \"order\" FROM thing WHERE flag = TRUE AND n IN (1, 2)", NULL, NULL},
    {"WITH a(n) AS (SELECT 1), b(n) AS (SELECT n + 1 FROM a) SELECT n FROM b", NULL, NULL},
    {"SELECT CAST(sum(n) AS BIGINT) / 2 AS n, n % 3, n / nullif(m, 0), x / CAST(10 AS DOUBLE PRECISION) FROM thing", NULL, NULL},
    {"SELECT avg(x), avg(CAST(n AS DOUBLE PRECISION)), sum(CAST(flag AS INTEGER)), CAST(n AS TEXT) FROM thing", NULL, NULL},
    {"SELECT substr(name, 1, 3), substr(name, 2) FROM thing WHERE x > 0.5 AND n > -1 AND x < -0.5", NULL, NULL},
    {"SELECT row_number() OVER (PARTITION BY tint ORDER BY n NULLS LAST, x DESC NULLS FIRST) FROM thing", NULL, NULL},
    {"SELECT id FROM thing ORDER BY n NULLS FIRST LIMIT 3 OFFSET 1", NULL, NULL},
    {"SELECT id || '-' || (n + 1) AS t, 2 * n - 1 FROM thing t WHERE t.flag = :f", NULL, NULL},
    {"SELECT id FROM thing WHERE \"user\" = 1", NULL, NULL},
    {"SELECT a.id FROM thing a LEFT JOIN thing b ON a.n = b.n EXCEPT SELECT id FROM (SELECT 1 INTERSECT SELECT 2)", NULL, NULL},

    {"SELECT ifnull(note, '') FROM thing", "ifnull(", "write coalesce()"},
    {"SELECT json_extract(extra, '$.a') FROM thing", "json_extract(", "on_sqlite"},
    {"SELECT n, iif(flag, 1, 0) AS m FROM thing", "iif(", "CASE"},
    {"SELECT string_agg(name, ',') FROM thing", "string_agg(", "on_postgres"},
    {"SELECT max(n, m) FROM thing", "max(", "one argument"},
    {"SELECT min(flag) FROM thing", "min(", "boolean"},
    {"SELECT sum(flag) FROM thing", "sum(", "CAST(x AS INTEGER)"},
    {"SELECT sum(n) / 2 FROM thing", "sum(", "CAST(sum(x) AS BIGINT)"},
    {"SELECT avg(n) FROM thing", "avg(", "DOUBLE PRECISION"},
    {"SELECT avg(CAST(n AS BIGINT)) FROM thing", "avg(", "DOUBLE PRECISION"},
    {"SELECT round(x) FROM thing", "round(", "rounds"},
    {"SELECT n / m FROM thing", "n / m", "nullif"},
    {"SELECT n % 0 FROM thing", "n % 0", "nullif"},
    {"SELECT n / CAST(0 AS DOUBLE PRECISION) FROM thing", "n / CAST", "nullif"},
    {"SELECT n * 0.1 FROM thing", "* 0.1", "DOUBLE PRECISION"},
    {"SELECT 1e3 + n FROM thing", "1e3 +", "DOUBLE PRECISION"},
    {"SELECT 0x1F FROM thing", "0x1F", "number"},
    {"SELECT 12345678901234567890 FROM thing", "12345678901234567890", "18 digits"},
    {"SELECT substr(name, -3) FROM thing", "substr(", "from 1"},
    {"SELECT substr(name, n) FROM thing", "substr(", "from 1"},
    {"SELECT substr(name, 1, n) FROM thing", "substr(", "from 1"},
    {"SELECT id FROM thing WHERE flag = 1", "flag = 1", "boolean"},
    {"SELECT id FROM thing WHERE 'true' = flag", "'true' = flag", "boolean"},
    {"SELECT id FROM thing t WHERE n = t.flag", "n = t", "boolean"},
    {"SELECT id FROM thing WHERE flag IN (0, 1)", "flag IN (", "boolean"},
    {"SELECT id FROM thing WHERE at > '2026-01-01'", "at > '2026-01-01'", "number with a text"},
    {"SELECT id FROM thing WHERE name <> 7", "name <> 7", "number with a text"},
    {"SELECT id FROM thing WHERE n = :p", "n = :p", "number with a text"},
    {"SELECT id FROM thing WHERE n NOT IN ('a')", "NOT IN (", "number with a text"},
    {"SELECT id FROM thing WHERE n LIKE '1%'", "n LIKE '1%'", "texts"},
    {"SELECT id FROM thing WHERE name ILIKE 'a'", "ILIKE", "lower"},
    {"SELECT id FROM thing WHERE name GLOB 'a*'", "GLOB", "LIKE"},
    {"SELECT id FROM thing WHERE name NOT REGEXP 'a'", "REGEXP", "LIKE"},
    {"SELECT match, t.glob AS regexp FROM thing t WHERE (similar) = 'x'", NULL, NULL},
    {"SELECT id FROM thing WHERE name = 'a' COLLATE NOCASE", "COLLATE", "bytes"},
    {"SELECT name || x FROM thing", "|| x", "different ways"},
    {"SELECT flag || '' FROM thing", "flag ||", "different ways"},
    {"SELECT id || n + 1 FROM thing", "|| n", "brackets"},
    {"SELECT 1 + n || id FROM thing", "n || id", "brackets"},
    {"SELECT CAST(x AS TEXT) FROM thing", "CAST(", "different ways"},
    {"SELECT CAST(name AS BIGINT) FROM thing", "CAST(", "whole number"},
    {"SELECT CAST(x AS BIGINT) FROM thing", "CAST(", "whole number"},
    {"SELECT CAST(avg(x) AS BIGINT) FROM thing", "CAST(", "whole number"},
    {"SELECT CAST(n AS REAL) FROM thing", "AS REAL", "DOUBLE PRECISION"},
    {"SELECT CAST(n AS INTEGER) FROM thing", "AS INTEGER", "boolean column"},
    {"SELECT CAST(n", "brackets", "brackets"},
    {"SELECT 1) UNION (SELECT 2", "brackets", "brackets"},
    {"SELECT CAST(n, n) FROM thing", "n)", "CAST is to"},
    {"SELECT n::text FROM thing", "n::text", "CAST"},
    {"SELECT id FROM thing WHERE n == 1", "n == 1", "write ="},
    {"SELECT `id` FROM thing", "`id", "quoted"},
    {"SELECT n & 1 FROM thing", "n & 1", "sign"},
    {"SELECT id FROM thing WHERE n = $1", "= $", ":name"},
    {"SELECT 1; DELETE FROM thing", "1; DELETE", "one statement"},
    {"DELETE FROM thing", "DELETE", "begins with"},
    {"SELECT user FROM thing", "user", "role"},
    {"SELECT current_timestamp FROM thing", "current_timestamp", "parameter"},
    {"SELECT id FROM thing LIMIT :k", "LIMIT :k", "number"},
    {"SELECT id FROM thing LIMIT -1", "LIMIT -", "number"},
    {"SELECT id FROM thing ORDER BY n", "ORDER BY", "NULLS"},
    {"SELECT rank() OVER (ORDER BY n NULLS LAST, x) FROM thing", "ORDER BY", "NULLS"},
    {"SELECT 1 UNION SELECT 2 INTERSECT SELECT 3", "INTERSECT", "SELECT of its own"},
    {"SELECT E'a\\n' FROM thing", "E'a\\n'", "letter"},
    {"SELECT 'a'\n'b' FROM thing", "'a'\n'b'", "||"},
    {"SELECT 'a FROM thing", "no end", "no end"},
    {"SELECT 1 /* a /* b */", "no end", "no end"},
    {"", "no SQL", "no SQL"},
};
/* clang-format on */

/* G-710 */
static void test_dialect_refuses_what_differs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(checked); i++) {
        ex_query_def q = query_of(checked[i].sql);
        ex_error err = {0};
        ex_status st = query_dialect_check(&q, &err);
        bool is_told =
            !checked[i].words ||
            (st == EX_EINVAL && strstr(err.message, "query asked-for of view things") &&
             strstr(err.message, checked[i].words) && strstr(err.message, checked[i].why));
        if ((st == EX_OK) != !checked[i].words || !is_told)
            fail_msg("%s\n  %s", checked[i].sql, st ? err.message : "was taken");
    }
}

/* A check that reads SQL of anybody ends, and reads nothing behind it. */
static void test_dialect_reads_any_text(void **state)
{
    (void)state;
    uint32_t seed = 20261129;
    static const char *const parts[] = {
        "SELECT ", "(", ")",   "'",  "\"",        "cast", " AS ", "::",   "/*", "*/", "--", "\n",
        "||",      "+", "1.5", ":p", "order by ", "in ",  "sum(", "flag", "=",  "/",  ",",  "x."};
    for (int round = 0; round < 5000; round++) {
        char sql[256] = "";
        size_t len = 0;
        for (int n = 0; n < 24; n++) {
            seed = seed * 1664525u + 1013904223u;
            const char *part = n ? parts[(seed >> 16) % COUNT(parts)] : "SELECT ";
            if (len + strlen(part) < sizeof(sql))
                len += (size_t)snprintf(sql + len, sizeof(sql) - len, "%s", part);
        }
        ex_query_def q = query_of(sql);
        ex_error err = {0};
        ex_status st = query_dialect_check(&q, &err);
        assert_true(st == EX_OK || st == EX_EINVAL);
    }
}

/* ---- What is the same ---- */

/* Members that a row does not name are as in THING. */
#define THING(id, more) "{\"id\":\"" id "\"," more "}"
#define PLAIN(id, name)                                                                            \
    THING(id, "\"name\":\"" name "\",\"flag\":true,\"n\":1,\"u\":1,\"x\":1,\"at\":"                \
              "\"2026-01-01T00:00:00Z\",\"tint\":\"red\",\"extra\":null,\"order\":\"o\"")
#define NUMBERS(id, flag, n, u, x, tint, at, more)                                                 \
    THING(id, "\"name\":\"num\",\"flag\":" flag ",\"n\":" n ",\"u\":" u ",\"x\":" x                \
              ",\"at\":\"" at "\",\"tint\":\"" tint "\",\"extra\":{\"a\":[1.50,\"\\u0000\"]}"      \
              ",\"order\":\"\"" more)

static const char *const events[] = {
    PLAIN("t1", "apple"),
    PLAIN("t2", "Apple"),
    PLAIN("t3", "\xc3\x84pfel"),
    PLAIN("t4", "\xc3\xa4pfel"),
    PLAIN("t5", "zebra"),
    PLAIN("t6", "100%"),
    PLAIN("t7", "a_b\\\\c"),
    PLAIN("t8", ""),
    PLAIN("t9", " a "),
    PLAIN("t10", "\xf0\x9f\x98\x80 \xef\xbf\xbd"),
    NUMBERS("n1", "true", "9223372036854775807", "9223372036854775807", "0.1", "red",
            "0000-01-01T00:00:00Z", ",\"maybe\":false,\"y\":1e300,\"m\":7,\"note\":\"\""),
    NUMBERS("n2", "false", "-9223372036854775808", "0", "-0.0", "green",
            "9999-12-31T23:59:59.999999Z", ",\"maybe\":true,\"y\":-0.0,\"m\":-7,\"note\":\"N\""),
    NUMBERS("n3", "false", "-7", "7", "5e-324", "green", "1970-01-01T00:00:00Z",
            ",\"y\":2.5,\"m\":0"),
    NUMBERS("n4", "true", "8", "8", "123456789.123456789", "red", "2026-11-29T12:00:00.5Z", ""),
};

static const struct {
    const char *name, *sql, *params;
    const char *ids; /* in the order of the answer, with a blank behind each */
    bool is_thing;   /* the rows are whole */
} asks[] = {
    {"everything", "SELECT * FROM thing", NULL, "n1 n2 n3 n4 t1 t10 t2 t3 t4 t5 t6 t7 t8 t9 ",
     true},
    {"LIKE minds case", "SELECT * FROM thing WHERE name LIKE 'a%'", NULL, "t1 t7 ", true},
    {"LIKE with a parameter", "SELECT * FROM thing WHERE name LIKE :p", "{\"p\":\"_pple\"}",
     "t1 t2 ", true},
    {"LIKE counts characters", "SELECT * FROM thing WHERE name LIKE :p", "{\"p\":\"_pfel\"}",
     "t3 t4 ", true},
    {"LIKE escapes by itself", "SELECT * FROM thing WHERE name LIKE '%0\\%'", NULL, "t6 ", true},
    {"LIKE with its escape", "SELECT * FROM thing WHERE name LIKE 'a!_b%' ESCAPE '!'", NULL, "t7 ",
     true},
    {"LIKE without one", "SELECT * FROM thing WHERE name LIKE '%b\\c' ESCAPE ''", NULL, "t7 ",
     true},
    {"LIKE goes back", "SELECT * FROM thing WHERE name LIKE '%e%a%' OR name LIKE '%p%le'", NULL,
     "t1 t2 t5 ", true},
    {"NOT LIKE", "SELECT * FROM thing WHERE id LIKE 't%' AND name NOT LIKE '%a%'", NULL,
     "t10 t2 t3 t4 t6 t8 ", true},
    {"an empty text is no null", "SELECT * FROM thing WHERE note = '' OR name = ''", NULL, "n1 t8 ",
     true},
    {"texts by their bytes", "SELECT * FROM thing WHERE id LIKE 't%' AND name < 'b'", NULL,
     "t1 t2 t6 t7 t8 t9 ", true},
    {"by a parameter's bytes", "SELECT * FROM thing WHERE id LIKE 't%' AND :p < name",
     "{\"p\":\"zz\"}", "t10 t3 t4 ", true},
    {"two parameters", "SELECT * FROM thing WHERE :p < 'a' AND id = 't1'", "{\"p\":\"Z\"}", "t1 ",
     true},
    {"folding is ASCII's",
     "SELECT id, lower(name) || upper(name) AS t, length(name) AS n FROM thing WHERE lower(name) = "
     "lower(:p)",
     "{\"p\":\"\xc3\x84PFEL\"}", "t3 "},
    {"trimming",
     "SELECT id, trim(name) || '.' || ltrim(name) || '.' || rtrim(name) AS t FROM thing "
     "WHERE id = 't9'",
     NULL, "t9 "},
    {"booleans", "SELECT * FROM thing WHERE flag AND maybe IS NOT TRUE AND flag = :f",
     "{\"f\":true}", "n1 n4 t1 t10 t2 t3 t4 t5 t6 t7 t8 t9 ", true},
    {"boolean results",
     "SELECT id, n > 7 AS b, CAST(flag AS INTEGER) AS n FROM thing WHERE id LIKE "
     "'n%'",
     NULL, "n1 n2 n3 n4 "},
    {"whole numbers", "SELECT id, n / 2 AS n, n % 3 AS x FROM thing WHERE id IN ('n3', 'n4')", NULL,
     "n3 n4 "},
    {"by nothing", "SELECT id, n / nullif(m, 0) AS n FROM thing WHERE id IN ('n2', 'n3')", NULL,
     "n2 n3 "},
    {"doubles",
     "SELECT id, x * CAST(3 AS DOUBLE PRECISION) AS x, n * CAST(0.1 AS DOUBLE PRECISION) "
     "AS y FROM thing WHERE id IN ('n3', 'n4') AND x > 0.0",
     NULL, "n3 n4 "},
    {"minus zero", "SELECT id, x, y FROM thing WHERE x = 0 AND y = CAST(0 AS DOUBLE PRECISION)",
     NULL, "n2 "},
    {"sums",
     "SELECT 'all' AS id, sum(m) AS n, avg(CAST(m AS DOUBLE PRECISION)) AS x, max(name) AS t "
     "FROM thing",
     NULL, "all "},
    {"of nothing",
     "SELECT 'none' AS id, sum(m) AS n, avg(x) AS x, min(name) AS t FROM thing WHERE "
     "FALSE",
     NULL, "none "},
    {"halves", "SELECT 'half' AS id, CAST(sum(m) AS BIGINT) / 2 AS n FROM thing WHERE m > 0", NULL,
     "half "},
    {"groups", "SELECT tint AS id, count(*) AS n, count(note) AS x FROM thing GROUP BY tint", NULL,
     "green red "},
    {"made keys",
     "SELECT upper(name) || '-' || CAST(n AS TEXT) AS id FROM thing WHERE id IN ('t1', "
     "'t5', 't7', 't6')",
     NULL, "100%-1 APPLE-1 A_B\\\\C-1 ZEBRA-1 "},
    {"made of literals",
     "SELECT CASE WHEN flag THEN 'a' ELSE 'B' END AS id, count(*) AS n FROM thing GROUP BY flag",
     NULL, "B a "},
    {"nulls in windows",
     "SELECT id, row_number() OVER (ORDER BY note NULLS LAST, id NULLS LAST) AS n FROM thing WHERE "
     "id LIKE 'n%'",
     NULL, "n1 n2 n3 n4 "},
    {"quoted names", "SELECT id, \"order\" AS t FROM thing WHERE \"order\" = '' AND n < 0", NULL,
     "n2 n3 "},
    {"times are numbers", "SELECT id, at AS n FROM thing WHERE at > :k", "{\"k\":1790000000000000}",
     "n2 n4 "},
    {"JSON as it was", "SELECT id, extra AS t FROM thing WHERE id = 'n1'", NULL, "n1 "},
    {"first characters",
     "SELECT id, substr(name, 1, 2) || replace(name, 'p', 'q') AS t FROM thing "
     "WHERE name LIKE '%fel'",
     NULL, "t3 t4 "},
    {"nothing and something",
     "SELECT id, coalesce(note, '-') || coalesce(:p, '+') AS t FROM thing "
     "WHERE id IN ('n2', 'n3')",
     NULL, "n2 n3 "},
};

typedef struct side {
    const char *engine;
    temp_dir dir;
    char place[1200];
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    ex_buf out;
    ex_error err;
} side;

static ex_query_def queries[COUNT(asks) + 2];
static const ex_query_def *query_list[COUNT(queries)];
static const ex_view_def *const view_list[] = {&thing_view};
static char names[COUNT(queries)][16];
static ex_context context = {"test", NULL, 0, view_list, 1, query_list, COUNT(queries)};
static const ex_context *const contexts[] = {&context};
static const ex_app app = {EX_APP_ABI, "dialect", contexts, 1};

/* id, and what the SQL names with AS. */
static const ex_type *row_of(size_t query, const char *sql)
{
    static ex_field fields[COUNT(queries)][8];
    static ex_type types[COUNT(queries)];
    types[query] = sum_up_type;
    types[query].fields = fields[query];
    types[query].field_count = 0; /* members that are not listed are not missed: size 0 */
    for (uint32_t i = 0; i < sum_up_type.field_count; i++) {
        char as[16];
        (void)snprintf(as, sizeof(as), " AS %s", sum_up_type.fields[i].name);
        const char *found = strstr(sql, as);
        bool is_plain_y = strcmp(as, " AS y") == 0 && strstr(sql, ", y FROM");
        if (i == 0 || is_plain_y || (found && strchr(" ,", found[strlen(as)])))
            fields[query][types[query].field_count++] = sum_up_type.fields[i];
    }
    fields[query][0].size = 0;
    return &types[query];
}

/* The parameters that the SQL has; a declared one that is not used would be refused. */
static const ex_type *params_of(size_t query, const char *sql)
{
    static ex_field fields[COUNT(queries)][4];
    static ex_type types[COUNT(queries)];
    types[query] = asked_type;
    types[query].fields = fields[query];
    types[query].field_count = 0;
    for (uint32_t i = 0; i < asked_type.field_count; i++) {
        char param[16];
        (void)snprintf(param, sizeof(param), ":%s", asked_type.fields[i].name);
        if (strstr(sql, param))
            fields[query][types[query].field_count++] = asked_type.fields[i];
    }
    fields[query][0].size = 0;
    return types[query].field_count ? &types[query] : NULL;
}

static void make_queries(void)
{
    for (size_t i = 0; i < COUNT(queries); i++) {
        queries[i] = query_of(i < COUNT(asks) ? asks[i].sql : NULL);
        (void)snprintf(names[i], sizeof(names[i]), "q%zu", i);
        queries[i].name = names[i];
        queries[i].params = i < COUNT(asks) ? params_of(i, asks[i].sql) : NULL;
        if (i < COUNT(asks))
            queries[i].row = asks[i].is_thing ? &thing_type : row_of(i, asks[i].sql);
        query_list[i] = &queries[i];
    }
    ex_query_def *own = &queries[COUNT(asks)], *null = own + 1;
    own->on_sqlite = "SELECT 'one' AS id, instr(name, 'p') AS n FROM thing WHERE id = 't1'";
    own->on_postgres = "SELECT 'one' AS id, strpos(name, 'p') AS n FROM thing WHERE id = 't1'";
    own->row = row_of(COUNT(asks), own->on_sqlite);
    null->sql = "SELECT id, m AS n FROM thing";
    null->row = row_of(COUNT(asks) + 1, null->sql);
    null->order_by[0] = "id";
}

/* A database that orders and folds texts as people do, so that what is left to it shows. */
static char database[64];

static void make_database(side *s)
{
    static int made;
    const char *url = postgres_url();
    char sql[256];
    ex_sql *db = NULL;
    (void)snprintf(database, sizeof(database), "dialect_%ld_%d", (long)getpid(), ++made);
    (void)snprintf(sql, sizeof(sql),
                   "CREATE DATABASE %s TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu "
                   "ICU_LOCALE 'en-US' LOCALE 'C.UTF-8'",
                   database);
    if (ex_sql_open(&(ex_sql_options){.place = url}, &db, &s->err) ||
        ex_sql_script(db, sql, &s->err))
        fail_msg("%s", s->err.message);
    ex_sql_close(db);
    const char *query = strchr(url, '?'), *path = strchr(url + strlen("postgres://"), '/');
    assert_non_null(path);
    (void)snprintf(s->place, sizeof(s->place), "%.*s/%s%s", (int)(path - url), url, database,
                   query ? query : "");
}

static void drop_database(void)
{
    char sql[128];
    ex_sql *db = NULL;
    ex_error err;
    (void)snprintf(sql, sizeof(sql), "DROP DATABASE %s WITH (FORCE)", database);
    if (ex_sql_open(&(ex_sql_options){.place = postgres_url()}, &db, &err) ||
        ex_sql_script(db, sql, &err))
        fail_msg("%s", err.message);
    ex_sql_close(db);
}

static void open_side(side *s)
{
    ex_runtime_options options = {.dir = s->place, .view_retry_ms = 1, .view_attempts = 2};
    ex_arena_init(&s->arena, 0);
    ex_buf_init(&s->out, 0);
    if (ex_store_open(s->place, NULL, &s->store, &s->err) ||
        ex_runtime_start(s->store, &app, &options, &s->rt, &s->err))
        fail_msg("%s: %s", s->engine, s->err.message);
}

static void open_both(side sides[2])
{
    memset(sides, 0, 2 * sizeof(*sides));
    sides[0].engine = "SQLite";
    sides[0].dir = temp_dir_make();
    (void)snprintf(sides[0].place, sizeof(sides[0].place), "%s", sides[0].dir.path);
    sides[1].engine = "PostgreSQL";
    make_database(&sides[1]);
    make_queries();
    for (int i = 0; i < 2; i++)
        open_side(&sides[i]);
}

static void close_both(side sides[2])
{
    for (int i = 0; i < 2; i++) {
        ex_runtime_stop(sides[i].rt);
        ex_store_close(sides[i].store);
        ex_buf_done(&sides[i].out);
        ex_arena_done(&sides[i].arena);
    }
    temp_dir_remove(&sides[0].dir);
    drop_database();
}

static uint64_t put(side *s, const char *data)
{
    ex_new_event event = {.type = EX_S("ThingPut"), .data = ex_str(data)};
    ex_stream_write write = {EX_S("things-1"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    if (ex_store_append(s->store, &append, &done, &s->err))
        fail_msg("%s: %s", s->engine, s->err.message);
    return done.position;
}

static ex_status ask(side *s, size_t query, const char *params, uint64_t position, uint32_t limit)
{
    ex_json tree;
    if (params)
        assert_int_equal(ex_json_parse(ex_str(params), &s->arena, NULL, &tree, NULL), EX_OK);
    ex_query_call call = {.context = EX_S("test"),
                          .query = ex_str(names[query]),
                          .params = params ? &tree : NULL,
                          .limit = limit,
                          .min_position = position,
                          .timeout_ms = 20000};
    ex_buf_reset(&s->out);
    ex_status st = ex_query_run(s->rt, &call, &s->arena, &s->out, &s->err);
    ex_buf_put_char(&s->out, '\0');
    return st;
}

static void check_ids(const side *s, size_t i)
{
    char ids[512] = "";
    size_t at = 0;
    for (const char *p = s->out.ptr; (p = strstr(p, "{\"id\":\"")) != NULL;) {
        p += strlen("{\"id\":\"");
        at += (size_t)snprintf(ids + at, sizeof(ids) - at, "%.*s ", (int)strcspn(p, "\""), p);
    }
    if (strcmp(ids, asks[i].ids) != 0)
        fail_msg("%s on %s: '%s'\n  %s", asks[i].name, s->engine, ids, s->out.ptr);
}

/* The answers are the same to the byte, and right. G-709 */
static void test_dialect_answers_are_the_same_to_the_byte(void **state)
{
    (void)state;
    side sides[2];
    open_both(sides);
    uint64_t position = 0;
    for (size_t i = 0; i < COUNT(events); i++)
        for (int k = 0; k < 2; k++)
            position = put(&sides[k], events[i]);
    for (size_t i = 0; i < COUNT(asks); i++) {
        for (int k = 0; k < 2; k++) {
            if (ask(&sides[k], i, asks[i].params, position, 0))
                fail_msg("%s on %s: %s", asks[i].name, sides[k].engine, sides[k].err.message);
            check_ids(&sides[k], i);
        }
        if (strcmp(sides[0].out.ptr, sides[1].out.ptr) != 0)
            fail_msg("%s\n  %s\n  %s", asks[i].name, sides[0].out.ptr, sides[1].out.ptr);
    }
    for (int k = 0; k < 2; k++) { /* in each engine's own words */
        assert_int_equal(ask(&sides[k], COUNT(asks), NULL, position, 0), EX_OK);
        assert_non_null(strstr(sides[k].out.ptr, "{\"id\":\"one\",\"n\":2}"));
    }
    close_both(sides);
}

typedef struct list {
    char text[8192];
    size_t len;
} list;

static void see(void *ctx, const ex_parked_event *e)
{
    list *l = ctx;
    l->len += (size_t)snprintf(l->text + l->len, sizeof(l->text) - l->len, "%llu %u %.*s\n",
                               (unsigned long long)e->position, e->attempts, EX_ARG(e->reason));
    assert_true(l->len < sizeof(l->text));
}

/* What one engine could not keep none does, with the same words. G-711 */
static void test_dialect_parks_the_same_rows(void **state)
{
    (void)state;
    side sides[2];
    static char long_name[4096], long_key[4096], fits[4096];
    char text[2600];
    memset(text, 'k', sizeof(text));
    (void)snprintf(long_name, sizeof(long_name), PLAIN("a", "%.2600s"), text);
    (void)snprintf(long_key, sizeof(long_key), PLAIN("%.2600s", "a"), text);
    (void)snprintf(fits, sizeof(fits), PLAIN("b", "%.2499s"), text);
    const char *const rows[] = {
        PLAIN("c", "a\\u0000b"),
        long_name,
        long_key,
        fits,
        NUMBERS("d", "true", "1", "9223372036854775808", "1", "red", "2026-01-01T00:00:00Z", ""),
        NUMBERS("e", "true", "1", "1", "1", "red", "9999-12-31T23:59:59-01:00", ""),
        PLAIN("f", "good"),
    };
    list parked[2] = {0};
    uint64_t position = 0;
    open_both(sides);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (int k = 0; k < 2; k++)
            position = put(&sides[k], rows[i]);
    for (int k = 0; k < 2; k++) {
        if (ask(&sides[k], 0, NULL, position, 0))
            fail_msg("%s: %s", sides[k].engine, sides[k].err.message);
        assert_int_equal(
            ex_runtime_view_parked(sides[k].rt, "things", 0, 100, see, &parked[k], &sides[k].err),
            EX_OK);
    }
    assert_string_equal(parked[0].text, parked[1].text);
    assert_non_null(strstr(parked[0].text, "1 1 ThingPut at position 1: name: must not contain"));
    assert_non_null(
        strstr(parked[0].text, "2 2 ThingPut at position 2: Thing: the texts of (name"));
    assert_non_null(strstr(parked[0].text, "3 2 ThingPut at position 3: Thing: the texts of (id)"));
    assert_non_null(strstr(parked[0].text, "5 2 "));
    assert_non_null(strstr(parked[0].text, "6 1 "));
    assert_null(strstr(parked[0].text, "at position 4"));
    assert_string_equal(sides[0].out.ptr, sides[1].out.ptr);
    close_both(sides);
}

/* Failures, too: what asks for it wrongly is told the same by both. */
static void test_dialect_failures_are_the_same(void **state)
{
    (void)state;
    side sides[2];
    open_both(sides);
    const ex_type *optional = queries[COUNT(asks) + 1].row;
    for (int k = 0; k < 2; k++) {
        uint64_t position = put(&sides[k], events[0]);
        queries[COUNT(asks) + 1].row = optional;
        queries[COUNT(asks) + 1].order_by[0] = "id";
        assert_int_equal(ask(&sides[k], COUNT(asks) + 1, NULL, position, 0), EX_OK);
        queries[COUNT(asks) + 1].row = &null_key_type; /* more than words can tell */
        queries[COUNT(asks) + 1].order_by[0] = "n";
        assert_int_equal(ask(&sides[k], COUNT(asks) + 1, NULL, position, 0), EX_EINTERNAL);
        assert_non_null(strstr(sides[k].err.message, "orders by n, which is null in a row"));
        /* a pattern that ends with \: an index of PostgreSQL may find nothing before it is looked
         * at */
        ex_status st = ask(&sides[k], 2, "{\"p\":\"ap\\\\\"}", position, 0);
        assert_true(st == EX_EINVAL || (k == 1 && st == EX_OK));
        assert_int_equal(ask(&sides[k], 2, "{\"p\":\"a\\u0000\"}", position, 0), EX_EINVAL);
    }
    close_both(sides);
}

static int like_on(ex_sql *db, const char *text, const char *pattern)
{
    ex_sql_stmt *st = NULL;
    ex_error err;
    if (ex_sql_prepare(db, EX_S("SELECT CAST($1 AS TEXT) LIKE CAST($2 AS TEXT)"), &st, &err))
        fail_msg("%s", err.message);
    ex_sql_bind_text(st, 1, ex_str(text));
    ex_sql_bind_text(st, 2, ex_str(pattern));
    ex_status status = ex_sql_step(st, &err);
    int answer = status ? -1 : ex_sql_bool(st, 0);
    ex_sql_reset(st);
    return answer;
}

/* Our LIKE on SQLite against PostgreSQL's own. */
static void test_dialect_like_is_that_of_postgres(void **state)
{
    (void)state;
    static const char *const letters[] = {"a", "b", "\xc3\xa4", "%", "_", "\\", "a", "%"};
    uint32_t seed = 7;
    ex_sql *dbs[2] = {0};
    ex_error err;
    const char *places[] = {NULL, postgres_url()};
    for (int k = 0; k < 2; k++)
        if (ex_sql_open(&(ex_sql_options){.place = places[k]}, &dbs[k], &err))
            fail_msg("%s", err.message);
    for (int round = 0; round < 1000; round++) {
        char words[2][32] = {"", ""}; /* text, pattern */
        for (int w = 0; w < 2; w++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = 0;
            for (uint32_t n = (seed >> 16) % 8; n > 0; n--) {
                seed = seed * 1664525u + 1013904223u;
                const char *letter = letters[(seed >> 16) % COUNT(letters)];
                at += (size_t)snprintf(words[w] + at, sizeof(words[w]) - at, "%s", letter);
            }
        }
        int got = like_on(dbs[0], words[0], words[1]), want = like_on(dbs[1], words[0], words[1]);
        bool is_broken = got < 0 || want < 0; /* ends with \: refused, or no match */
        if (got != want && !(is_broken && got < 1 && want < 1))
            fail_msg("'%s' LIKE '%s': %d, not %d", words[0], words[1], got, want);
    }
    for (int k = 0; k < 2; k++)
        ex_sql_close(dbs[k]);
}

/* A query in one engine's words only needs that engine. */
static void test_dialect_needs_sql_for_its_engine(void **state)
{
    (void)state;
    side s = {.engine = "memory"};
    make_queries();
    queries[COUNT(asks)].on_sqlite = NULL;
    assert_int_equal(ex_store_open(EX_STORE_MEMORY, NULL, &s.store, &s.err), EX_OK);
    assert_int_equal(ex_runtime_start(s.store, &app, NULL, &s.rt, &s.err), EX_EINVAL);
    assert_non_null(strstr(s.err.message, "has no SQL for SQLite: write on_sqlite"));
    ex_store_close(s.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialect_refuses_what_differs),
        cmocka_unit_test(test_dialect_reads_any_text),
        cmocka_unit_test(test_dialect_answers_are_the_same_to_the_byte),
        cmocka_unit_test(test_dialect_parks_the_same_rows),
        cmocka_unit_test(test_dialect_failures_are_the_same),
        cmocka_unit_test(test_dialect_like_is_that_of_postgres),
        cmocka_unit_test(test_dialect_needs_sql_for_its_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
