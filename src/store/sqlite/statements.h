/* statements.h: every statement of the SQLite driver, by name.
 *
 * They are prepared on first use and kept for each connection. The second
 * column says what EXPLAIN QUERY PLAN has to show (tested): FIND must reach its
 * rows through an index or the row id, without a sort; WRITE is not looked at. */
#ifndef EXCORE_STORE_SQLITE_STATEMENTS_H
#define EXCORE_STORE_SQLITE_STATEMENTS_H

/* Columns of an event, in the order of event_row.c. The stream's name follows where the statement
 * does not know it beforehand, the stream's id where it is to be checked. */
#define EVENT_COLUMNS                                                                              \
    "e.position, e.version, e.type_id, e.recorded_at, e.id, e.schema_version, e.content_type, "    \
    "e.correlation_id, e.causation_id, e.tags, e.metadata, e.data"
#define EVENT_OF_ANY_STREAM                                                                        \
    "SELECT " EVENT_COLUMNS ", s.name FROM events e CROSS JOIN streams s ON s.id = e.stream_id "

/* Parameters are numbered row by row. Many rows at once fail without undoing those before: whatever
 * fails ends the batch, and undoing would cost a copy of every page that the statement touches. */
#define EVENT_INSERT_COLUMNS                                                                       \
    "INTO events (position, stream_id, version, prev, jump, type_id, recorded_at, id, "            \
    "schema_version, content_type, correlation_id, causation_id, tags, metadata, data) VALUES "
#define EVENT_PARAMETERS 15
#define EVENT_ROW        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define EVENT_ROWS_4     EVENT_ROW ", " EVENT_ROW ", " EVENT_ROW ", " EVENT_ROW
#define EVENT_ROWS       16

/* clang-format off */
#define STATEMENT_MAP(X)                                                                           \
    X(BEGIN,             WRITE, "BEGIN IMMEDIATE")                                                 \
    X(BEGIN_READ,        WRITE, "BEGIN")                                                           \
    X(COMMIT,            WRITE, "COMMIT")                                                          \
    X(ROLLBACK,          WRITE, "ROLLBACK")                                                        \
    X(HEAD,              FIND,  "SELECT position, recorded_at FROM events "                        \
                                "ORDER BY position DESC LIMIT 1")                                  \
    X(STREAM_FIND,       FIND,  "SELECT id FROM streams WHERE name = ?1")                          \
    X(STREAM_INSERT,     WRITE, "INSERT INTO streams (name) VALUES (?1)")                          \
    X(HEAD_FIND,         FIND,  "SELECT version, position FROM stream_heads WHERE stream_id = ?1") \
    X(HEAD_INSERT,       WRITE, "INSERT INTO stream_heads (stream_id, version, position) "         \
                                "VALUES (?1, ?2, ?3)")                                             \
    X(HEAD_UPDATE,       WRITE, "UPDATE stream_heads SET version = ?2, position = ?3 "             \
                                "WHERE stream_id = ?1 AND version = ?4")                           \
    X(TYPE_FIND,         FIND,  "SELECT id FROM types WHERE name = ?1")                            \
    X(TYPE_INSERT,       WRITE, "INSERT INTO types (name) VALUES (?1)")                            \
    X(TYPE_NAME,         FIND,  "SELECT name FROM types WHERE id = ?1")                            \
    X(TAG_FIND,          FIND,  "SELECT id FROM tags WHERE name = ?1")                             \
    X(TAG_INSERT,        WRITE, "INSERT INTO tags (name) VALUES (?1)")                             \
    X(EVENT_INSERT,      WRITE, "INSERT " EVENT_INSERT_COLUMNS EVENT_ROW)                          \
    X(EVENTS_INSERT,     WRITE, "INSERT OR FAIL " EVENT_INSERT_COLUMNS EVENT_ROWS_4 ", "           \
                                EVENT_ROWS_4 ", " EVENT_ROWS_4 ", " EVENT_ROWS_4)                  \
    X(EVENT_TAG_INSERT,  WRITE, "INSERT OR IGNORE INTO event_tags (tag_id, position) "             \
                                "VALUES (?1, ?2)")                                                 \
    X(EVENT_BY_ID,       FIND,  EVENT_OF_ANY_STREAM "WHERE e.id = ?1 AND e.stream_id = ?2")        \
    X(EVENT_BY_POSITION, FIND,  EVENT_OF_ANY_STREAM "WHERE e.position = ?1")                       \
    X(LOG_SCAN,          FIND,  EVENT_OF_ANY_STREAM                                                \
                                "WHERE e.position BETWEEN ?1 AND ?2 ORDER BY e.position")          \
    X(EVENT_OF_STREAM,   FIND,  "SELECT " EVENT_COLUMNS ", e.stream_id FROM events e "             \
                                "WHERE e.position >= ?1 ORDER BY e.position")                      \
    X(EVENT_LINKS,       FIND,  "SELECT stream_id, version, prev, jump FROM events "               \
                                "WHERE position = ?1")                                             \
    X(LIST_TYPE,         FIND,  "SELECT position FROM events WHERE type_id = ?1 "                  \
                                "AND position >= ?2 ORDER BY position LIMIT ?3")                   \
    X(LIST_TAG,          FIND,  "SELECT position FROM event_tags WHERE tag_id = ?1 "               \
                                "AND position >= ?2 ORDER BY position LIMIT ?3")                   \
    X(LIST_CORRELATION,  FIND,  "SELECT position FROM events WHERE correlation_id = ?1 "           \
                                "AND position >= ?2 ORDER BY position LIMIT ?3")                   \
    X(COMMAND_FIND,      FIND,  "SELECT fingerprint, recorded_at, outcome FROM commands "          \
                                "WHERE command_id = ?1")                                           \
    X(COMMAND_INSERT,    WRITE, "INSERT INTO commands (command_id, fingerprint, recorded_at, "     \
                                "outcome) VALUES (?1, ?2, ?3, ?4)")                                \
    X(COMMANDS_AFTER,    FIND,  "SELECT seq, command_id, fingerprint, recorded_at, outcome "          \
                                "FROM commands WHERE seq > ?1 ORDER BY seq LIMIT ?2")              \
    X(COMMAND_OLDEST,    FIND,  "SELECT seq, recorded_at FROM commands ORDER BY seq LIMIT 1")      \
    X(COMMAND_DELETE,    WRITE, "DELETE FROM commands WHERE seq = ?1")                             \
    X(AUDIT_INSERT,      WRITE, "INSERT INTO idempotency_audit (stored_position, "                 \
                                "stored_fingerprint, given_fingerprint, stream, event_id, type, "  \
                                "schema_version, content_type, data, actor, first_at, last_at, "   \
                                "times) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "    \
                                "?11, 1) ON CONFLICT (stored_position, given_fingerprint) "        \
                                "DO UPDATE SET last_at = excluded.last_at, times = times + 1 "      \
                                "RETURNING id")                                                    \
    X(AUDIT_TRIM,        WRITE, "DELETE FROM idempotency_audit WHERE id <= "                       \
                                "(SELECT max(id) FROM idempotency_audit) - ?1")
/* clang-format on */

typedef enum statement {
#define STATEMENT_ENUM(name, plan, sql) STATEMENT_##name,
    STATEMENT_MAP(STATEMENT_ENUM)
#undef STATEMENT_ENUM
        STATEMENT_COUNT
} statement;

#endif
