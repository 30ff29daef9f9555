/* statements.h: every statement of the PostgreSQL driver.
 *
 * Whatever the statistics of the tables say, or do not say yet, there is one plan
 * for each: it reaches its rows through the index that was made for them (tested with
 * EXPLAIN under empty, fresh, stale and bent statistics). Where two indexes could
 * serve, the condition is written so that only one does; where rows are looked up
 * for many names or ids, each one is looked up by itself; and the sessions forbid
 * plans without an index. Tables are found through the search path. */
#ifndef EXCORE_STORE_POSTGRES_STATEMENTS_H
#define EXCORE_STORE_POSTGRES_STATEMENTS_H

#include <excore/base.h>

#include "store/postgres/schema.h"
#include "store/postgres/search_sql.h"

/* Columns of an event in the order of event_row.c. */
#define EVENT_COLUMNS                                                                              \
    "e.position, e.version, e.stream_id, e.recorded_at, e.id, e.schema_version, e.content_type, "  \
    "e.correlation_id, e.causation_id, e.tags, e.metadata, e.data, e.stream, e.type"
/* The beginning of the same, and what is told of others' events. */
#define BRIEF_COLUMNS "position, version, stream_id, recorded_at, id, stream, type, tags"

/* The head, and by what a session knows that the log is the one that it has proven. */
#define HEAD_COLUMNS "position, recorded_at, last_id, epoch, tableoid::bigint"

/* At least one event, and no more than `limit` of them or than `bytes` hold: what libpq keeps of a
 * chunk is bounded. The length of bytea is read without the bytes themselves. */
#define EVENTS_BOUNDED(where, order, limit, bytes)                                                 \
    "SELECT " EVENT_COLUMNS " FROM (SELECT *, sum(" PG_EVENT_BYTES ") OVER (ORDER BY " order       \
    ") - " PG_EVENT_BYTES " AS bytes_before FROM (SELECT * FROM events WHERE " where               \
    " ORDER BY " order " LIMIT " limit ") x) e WHERE e.bytes_before < " bytes " ORDER BY e." order

/* The log is read most of all, and a running sum costs it half its speed: only chunks with a large
 * event in them are measured. */
#define LOG_RANGE "FROM events e WHERE position >= $1 AND position <= $2 ORDER BY position"
#define LOG_HAS_LARGE                                                                              \
    "EXISTS (SELECT 1 FROM events WHERE position + 0 >= $1 AND position + 0 < $1 + $3 "            \
    "AND " PG_IS_LARGE ")"
#define LOG_MEASURED                                                                               \
    "(SELECT count(*) FROM (SELECT sum(bytes) OVER (ORDER BY position) - bytes AS bytes_before "   \
    "FROM (SELECT position, " PG_EVENT_BYTES " AS bytes " LOG_RANGE " LIMIT $3) x) y "             \
    "WHERE bytes_before < $4)"

/* What no event has. */
#define PG_NO_POSITION "9223372036854775807"
/* The events of a type from a position on, in order. Compared as rows, only the index that begins
 * with the type can find them: with two comparisons the planner may walk the whole log by position
 * instead, which is far worse for a rare type. */
#define OF_TYPE(e, name, from)                                                                     \
    "(" e ".type, " e ".position) >= (" name ", " from ") AND (" e ".type, " e                     \
    ".position) < (" name ", " PG_NO_POSITION ") ORDER BY " e ".type, " e ".position"

/* The one row of a table for each row that stands before it. A plain join leaves it to the planner,
 * who takes a table without statistics for empty, to read all of it for each row. */
#define EACH(table, condition) "LATERAL (SELECT * FROM " table " WHERE " condition " LIMIT 1)"
/* The event with an id in a stream, as a row again: only the index that begins with the id. */
#define HAS_ID(id, stream)                                                                         \
    "(id, stream_id) >= (" id ", " stream ") AND (id, stream_id) <= (" id ", " stream ")"

/* Is the witness of this place? A role that may not ask for the cluster's identifier believes the
 * others, and they believe it: else each would find a witness of another place for ever. */
#define IS_PLACE(witness, here)                                                                    \
    "(" witness " = " here " OR (" witness " LIKE 'cluster unknown %' OR " here                    \
    " LIKE 'cluster unknown %') AND split_part(" witness ", ' database ', 2) = split_part(" here   \
    ", ' database ', 2))"
/* Has the server been running since the witness was written? True where the column is missing. */
#define IS_SERVER_START(w)                                                                         \
    "coalesce((to_jsonb(" w ") ->> 'server_start')::bigint = " PG_SERVER_START                     \
    ", NOT (to_jsonb(" w ") ? 'server_start'))"

#define TAG_ID(name)    "(SELECT id FROM tags WHERE name = " name ")"
#define STREAM_ID(name) "(SELECT id FROM streams WHERE name = " name ")"

/* clang-format off */
/* name, how it finds its rows (FIND: through an index; WRITE: not looked at), SQL */
#define PG_STATEMENT_MAP(X)                                                                        \
    X(BEGIN,           WRITE, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")                   \
    X(COMMIT,          WRITE, "COMMIT")                                                            \
    X(ROLLBACK,        WRITE, "ROLLBACK")                                                          \
    X(HEAD,            FIND,  "SELECT " HEAD_COLUMNS " FROM log_head WHERE one")                   \
    X(IS_REPLICA,      WRITE, "SELECT pg_is_in_recovery()")                                        \
    X(HEAD_LOCK,       WRITE, "SELECT " HEAD_COLUMNS " FROM log_head WHERE one FOR UPDATE")        \
    /* the server does not end a session by itself that cannot get rid of its answer */            \
    X(HEAD_FREE,       WRITE, "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN "   \
                              "pg_locks l ON l.pid = a.pid WHERE l.relation = "                    \
                              "'log_head'::regclass AND l.granted AND a.wait_event = "             \
                              "'ClientWrite' AND a.query_start < now() - interval '10 seconds'")   \
    /* fails (division by zero) when others have written, opened an epoch, or replaced the tables */ \
    X(HEAD_CHECK,      WRITE, "WITH held AS (SELECT 1 FROM log_head WHERE one AND position = $1 "  \
                              "AND last_id = $2 AND epoch = $3 AND tableoid = $4::bigint::oid "    \
                              "FOR UPDATE) SELECT 1 / (SELECT count(*) FROM held)")                \
    /* --- epochs (log_epoch.c) --- */                                                             \
    X(EPOCH_PROOF,     FIND,  "SELECT h.position, h.epoch, h.tableoid::bigint, h.log_id, "         \
                              "(SELECT w.epoch = h.epoch AND " IS_PLACE("w.place", "p.place")      \
                              " FROM (SELECT log_place() AS place OFFSET 0) p, log_witness w "     \
                              "WHERE w.one), "                                                     \
                              "(SELECT e.id FROM log_epochs e WHERE e.number = h.epoch), "         \
                              "(SELECT " IS_SERVER_START("w") " FROM log_witness w WHERE w.one) "  \
                              "FROM log_head h WHERE h.one")                                       \
    X(EPOCH_LAST,      FIND,  "SELECT id FROM log_epochs ORDER BY number DESC LIMIT 1")            \
    X(EPOCHS,          FIND,  "SELECT id, first, opened_at, reason FROM log_epochs "               \
                              "ORDER BY number DESC LIMIT 1000")                                   \
    X(LOG_ID_IS,       FIND,  "SELECT log_id FROM log_head WHERE one")                             \
    X(LOG_ID,          WRITE, "UPDATE log_head SET log_id = $1 WHERE one")                         \
    X(SYNC_ON,         WRITE, "SELECT set_config('synchronous_commit', CASE "                      \
                              "current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE "   \
                              "current_setting('synchronous_commit') END, true)")                  \
    X(EPOCH_INSERT,    WRITE, "INSERT INTO log_epochs (number, id, first, opened_at, reason) "     \
                              "VALUES ($1, $2, $3, $4, $5)")                                       \
    X(EPOCH_HEAD,      WRITE, "UPDATE log_head SET epoch = $1 WHERE one")                          \
    X(EPOCH_WITNESS,   WRITE, "INSERT INTO log_witness (place, epoch) SELECT log_place(), epoch "  \
                              "FROM log_head WHERE one ON CONFLICT (one) DO UPDATE SET "           \
                              "place = excluded.place, epoch = excluded.epoch")                    \
    X(EPOCH_START,     WRITE, "UPDATE log_witness SET server_start = " PG_SERVER_START             \
                              " WHERE one")                                                        \
    X(FEATURES,        FIND,  "SELECT name, class FROM features ORDER BY name")                    \
    /* fails (division by zero) when the head is not where this batch began */                     \
    X(HEAD_MOVE,       WRITE, "WITH moved AS (UPDATE log_head SET position = $2, "                 \
                              "recorded_at = $3, last_id = $4 WHERE one AND position = $1 "        \
                              "RETURNING 1) SELECT 1 / (SELECT count(*) FROM moved)")              \
    /* half a megabyte that does not fit into memory: a file beside the data, and gone at once */   \
    X(PROBE_MEMORY,    WRITE, "SELECT set_config('work_mem', '64kB', true), "                      \
                              "set_config('temp_tablespaces', '', true)")                          \
    X(PROBE_DISK,      WRITE, "SELECT count(*) FROM generate_series(1, 20000)")                    \
    X(NOTIFY,          WRITE, "SELECT pg_notify($1, $2)")                                          \
    X(MEASURE,         WRITE, "SELECT (SELECT max(version) FROM excore_migrations), "              \
                              "(SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE "      \
                              "relnamespace = current_schema()::regnamespace AND relkind = 'r')"   \
                              "::bigint")                                                          \
    /* --- names --- */                                                                            \
    X(STREAMS_FIND,    FIND,  "SELECT u.n, s.id, v.version FROM unnest($1::text[]) "               \
                              "WITH ORDINALITY u (name, n) CROSS JOIN " EACH("streams",            \
                              "name = u.name") " s LEFT JOIN LATERAL (SELECT version FROM events " \
                              "WHERE stream_id = s.id ORDER BY version DESC LIMIT 1) v ON true")   \
    X(STREAMS_INSERT,  WRITE, "INSERT INTO streams (id, name) "                                    \
                              "SELECT * FROM unnest($1::bigint[], $2::text[])")                    \
    X(TAGS_INSERT,     WRITE, "INSERT INTO tags (id, name) SELECT * FROM "                         \
                              "unnest($1::bigint[], $2::text[]) ON CONFLICT (name) DO NOTHING")    \
    X(TAGS_FIND,       FIND,  "SELECT u.n, t.id FROM unnest($1::text[]) WITH ORDINALITY "          \
                              "u (name, n) CROSS JOIN " EACH("tags", "name = u.name") " t")        \
    /* --- events --- */                                                                           \
    X(EVENTS_INSERT,   WRITE, "INSERT INTO events (position, stream_id, version, recorded_at, "    \
                              "id, stream, type, data, schema_version, content_type, "             \
                              "correlation_id, causation_id, tags, metadata) SELECT * FROM "       \
                              "unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], "    \
                              "$5::bytea[], $6::text[], $7::text[], $8::bytea[], $9::int[], "      \
                              "$10::text[], $11::text[], $12::text[], $13::bytea[], $14::bytea[])") \
    X(EVENT_TAGS,      WRITE, "INSERT INTO event_tags (tag_id, position) "                         \
                              "SELECT * FROM unnest($1::bigint[], $2::bigint[])")                  \
    X(EVENT_TAG_NAMES, WRITE, "INSERT INTO event_tags (tag_id, position) SELECT t.id, u.position " \
                              "FROM unnest($1::text[], $2::bigint[]) u (name, position) "          \
                              "CROSS JOIN " EACH("tags", "name = u.name") " t")                    \
    X(EVENTS_FIND,     FIND,  "SELECT " EVENT_COLUMNS ", u.n FROM unnest($1::bytea[], "            \
                              "$2::bigint[]) WITH ORDINALITY u (id, stream_id, n) CROSS JOIN "     \
                              EACH("events", HAS_ID("u.id", "u.stream_id")) " e")                  \
    /* the large ones without their data: is_cut */                                                \
    X(EVENTS_LOOK_UP,  FIND,  "SELECT position, version, stream_id, recorded_at, id, "             \
                              "schema_version, content_type, correlation_id, causation_id, tags, " \
                              "NULL::bytea, CASE WHEN is_cut THEN ''::bytea ELSE data END, "       \
                              "stream, type, n, is_cut FROM (SELECT e.*, "                         \
                              "u.n, sum(octet_length(e.data)) OVER (ORDER BY u.n) "                \
                              " > $3 AS is_cut FROM unnest($1::text[], $2::bytea[])"               \
                              " WITH ORDINALITY u (name, id, n) CROSS JOIN "                       \
                              EACH("streams", "name = u.name") " s CROSS JOIN "                    \
                              EACH("events", HAS_ID("u.id", "s.id")) " e) x")                      \
    X(EVENTS_ARE,      FIND,  "SELECT count(*) FROM unnest($1::bigint[], $2::bytea[], "            \
                              "$3::bigint[]) u (position, id, at) CROSS JOIN "                     \
                              EACH("events", "position >= u.position ORDER BY position") " e "     \
                              "WHERE e.position = u.position AND e.id = u.id AND e.recorded_at = u.at") \
    X(LOG_CHUNK,       FIND,  "SELECT " EVENT_COLUMNS " " LOG_RANGE " LIMIT CASE WHEN "            \
                              LOG_HAS_LARGE " THEN " LOG_MEASURED " ELSE $3 END")                  \
    X(LOG_BRIEF,       FIND,  "SELECT " BRIEF_COLUMNS " FROM events WHERE position >= $1 "         \
                              "ORDER BY position LIMIT $2")                                        \
    X(STREAM_FORWARD,  FIND,  EVENTS_BOUNDED("stream_id = " STREAM_ID("$1") " AND version >= $2",  \
                                             "version", "$3", "$4"))                               \
    X(STREAM_BACKWARD, FIND,  EVENTS_BOUNDED("stream_id = " STREAM_ID("$1") " AND version <= $2 "  \
                                             "AND position + 0 <= $5", "version DESC", "$3", "$4")) \
    X(POSITIONS_CHUNK, FIND,  EVENTS_BOUNDED("position = ANY ($1::bigint[])", "position",          \
                                             "$2", "$3"))                                          \
    X(SEARCH,          FIND,  PG_SEARCH_SQL)                                                       \
    X(STREAM_VERSION,  FIND,  "SELECT version FROM events WHERE stream_id = " STREAM_ID("$1")      \
                              " AND position + 0 <= $2 ORDER BY version DESC LIMIT 1")             \
    /* --- posting lists --- */                                                                    \
    X(LIST_TYPE,       FIND,  "SELECT e.position FROM events e WHERE "                             \
                              OF_TYPE("e", "$1", "$2") " LIMIT $3")                                \
    X(LIST_TAG,        FIND,  "SELECT position FROM event_tags WHERE tag_id = " TAG_ID("$1")       \
                              " AND position >= $2 ORDER BY position LIMIT $3")                    \
    X(LIST_CORRELATION,FIND,  "SELECT position FROM events WHERE correlation_id IS NOT NULL AND "  \
                              "(correlation_id, position) >= ($1, $2) AND (correlation_id, position) " \
                              "< ($1, " PG_NO_POSITION ") ORDER BY correlation_id, position LIMIT $3") \
    /* positions rise with versions: the version to start at is found by bisection */              \
    X(LIST_STREAM,     FIND,  "WITH RECURSIVE it AS (SELECT " STREAM_ID("$1") " AS id), "          \
                              "range (low, high) AS (SELECT 1::bigint, (SELECT version + 1 FROM "  \
                              "events WHERE stream_id = (SELECT id FROM it) ORDER BY version DESC " \
                              "LIMIT 1) UNION ALL SELECT CASE WHEN m.position < $2 THEN "          \
                              "m.version + 1 ELSE low END, CASE WHEN m.position < $2 THEN high "   \
                              "ELSE m.version END FROM range CROSS JOIN LATERAL (SELECT position, " \
                              "version FROM events WHERE stream_id = (SELECT id FROM it) "         \
                              "AND version >= low + (high - low) / 2 ORDER BY version LIMIT 1) m " \
                              "WHERE low < high) "                                                 \
                              "SELECT position FROM events WHERE stream_id = (SELECT id FROM it) " \
                              "AND version >= (SELECT low FROM range WHERE low = high) "           \
                              "ORDER BY version LIMIT $3")                                         \
    /* --- conditions --- */                                                                       \
    /* leapfrog in rounds: in each one every list goes to its first position not below the furthest\
     * of the round before, until all stand at one; the rarest list sets the pace */               \
    X(MATCH,           FIND,  "WITH RECURSIVE wanted (id) AS MATERIALIZED (SELECT t.id FROM "      \
                              "unnest($1::text[]) u (name) LEFT JOIN LATERAL (SELECT id FROM tags " \
                              "WHERE name = u.name LIMIT 1) t ON true), "                          \
                              "walk (low, high, round) AS (SELECT 0::bigint, $3::bigint, 0 "       \
                              "UNION ALL SELECT n.low, n.high, w.round + 1 FROM walk w "           \
                              "CROSS JOIN LATERAL (SELECT min(p.position) AS low, "                \
                              "max(p.position) AS high FROM (SELECT coalesce((SELECT a.position "  \
                              "FROM event_tags a WHERE a.tag_id = wanted.id AND a.position >= "    \
                              "w.high ORDER BY a.position LIMIT 1), " PG_NO_POSITION ") AS position " \
                              "FROM wanted UNION ALL SELECT coalesce(min(x.position), "            \
                              PG_NO_POSITION ") FROM unnest($2::text[]) v (name) CROSS JOIN LATERAL " \
                              "(SELECT e.position FROM events e WHERE " OF_TYPE("e", "v.name",     \
                              "w.high") " LIMIT 1) x HAVING cardinality($2::text[]) > 0) p) n "    \
                              "WHERE w.low < w.high AND w.high <= $4 AND w.round < $5) "           \
                              "SELECT max(high), bool_or(low = high) FROM walk")                   \
    /* --- commands --- */                                                                         \
    X(COMMANDS_FIND,   FIND,  "SELECT u.n, c.fingerprint, c.recorded_at, c.outcome FROM "          \
                              "unnest($1::bytea[]) WITH ORDINALITY u (id, n) CROSS JOIN "          \
                              EACH("commands", "command_id = u.id") " c")                          \
    X(COMMANDS_INSERT, WRITE, "INSERT INTO commands (seq, command_id, fingerprint, recorded_at, "  \
                              "outcome) SELECT * FROM unnest($1::bigint[], $2::bytea[], "          \
                              "$3::bigint[], $4::bigint[], $5::bytea[])")                          \
    X(COMMANDS_ARE,    FIND,  "SELECT count(*) FROM unnest($1::bytea[], $2::bigint[], "            \
                              "$3::bigint[]) u (id, f, r) CROSS JOIN "                             \
                              EACH("commands", "command_id = u.id") " c "                          \
                              "WHERE c.fingerprint = u.f AND c.recorded_at = u.r")                 \
    X(COMMANDS_EXPIRE, WRITE, "DELETE FROM commands WHERE seq <= (SELECT max(seq) FROM (SELECT "   \
                              "seq FROM commands ORDER BY seq LIMIT $2) x) AND recorded_at < $1")  \
    X(COMMANDS_OLDEST, FIND,  "SELECT recorded_at FROM commands ORDER BY seq LIMIT 1")             \
    X(TIME_SEEN,       WRITE, "UPDATE log_head SET seen_at = greatest(seen_at, $1::bigint) WHERE " \
                              "one RETURNING seen_at")                                             \
    X(COMMANDS_AFTER,  FIND,  "SELECT seq, command_id, fingerprint, recorded_at, outcome "         \
                              "FROM commands WHERE seq > $1 ORDER BY seq LIMIT $2")                \
    /* --- audits --- */                                                                           \
    X(AUDIT_INSERT,    WRITE, "INSERT INTO idempotency_audit AS a (id, stored_position, "          \
                              "stored_fingerprint, given_fingerprint, stream, event_id, type, "    \
                              "schema_version, content_type, data, actor, first_at, last_at, "     \
                              "times) VALUES ($12, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, " \
                              "$11, 1) ON CONFLICT (stored_position, given_fingerprint) DO UPDATE "     \
                              "SET last_at = excluded.last_at, times = a.times + 1 RETURNING a.id") \
    X(AUDIT_TRIM,      WRITE, "DELETE FROM idempotency_audit WHERE id <= (SELECT id FROM "         \
                              "idempotency_audit ORDER BY id DESC OFFSET $1 LIMIT 1)")
/* clang-format on */

typedef enum pg_statement {
#define PG_STATEMENT_ENUM(name, plan, sql) PG_##name,
    PG_STATEMENT_MAP(PG_STATEMENT_ENUM)
#undef PG_STATEMENT_ENUM
        PG_STATEMENT_COUNT
} pg_statement;

/** The text of a statement. */
ex_slice pg_sql(pg_statement which);

#endif
