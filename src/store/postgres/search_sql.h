/* search_sql.h: one page of the log by types and tags, found and read by one statement.
 *
 *   parameters  tags and for each the number of its item; types likewise; how many items; first
 *               position; last one; entries that a round reads of a list; most events; most bytes
 *   rows        the events of the page, in order (one row without an event when there is none),
 *               each with the last position that was looked at and the last one that matches
 *
 * The walk goes in rounds from window to window of the log. A round asks for each list (of a tag,
 * or all types of an item together) where its next `entries` end. The list that comes furthest is
 * the rarest one there; it leads, however rare it is elsewhere, and the others are asked about its
 * entries. When the second rarest tag is not much denser, the two are merged instead, which reads
 * an entry in a tenth of the time of a look-up. A window ends where the lists that are read end, so
 * a round reads a bounded number of entries, whatever the lists look like. With several items the
 * shortest window is that of all.
 *
 * The walk ends with enough matches, or when its time is over, so that it is part of a slice
 * (docs/decisions/0015). One round is made always. */
#ifndef EXCORE_STORE_POSTGRES_SEARCH_SQL_H
#define EXCORE_STORE_POSTGRES_SEARCH_SQL_H

#define PG_SEARCH_TIME "interval '15 ms'"
/* Where a list ends that has no more entries: above every position, small enough to be multiplied
 * with PG_SEARCH_LISTS, which is above the number of lists in an item. */
#define PG_SEARCH_END   "1125899906842624"
#define PG_SEARCH_LISTS "4096"
/* A list may be this many times as dense as the rarest one to be merged with it. */
#define PG_SEARCH_MERGED "4"

/* Most entries of a list that a window has. The limit in the statement cuts nothing off: it tells
 * the planner what to expect, so that no statistics make it expect more than fits into memory. */
#define PG_SEARCH_ENTRIES         1024
#define PG_SEARCH_TEXT(number)    #number
#define PG_SEARCH_TEXT_OF(number) PG_SEARCH_TEXT(number)
#define PG_SEARCH_LIMIT           " ORDER BY position LIMIT " PG_SEARCH_TEXT_OF(PG_SEARCH_ENTRIES)

/* clang-format off */

/* The ids of each item's tags, -1 for one that is not stored, and its types. */
#define PG_SEARCH_ITEMS                                                                            \
    "item (ids, types) AS MATERIALIZED (SELECT "                                                   \
    "ARRAY(SELECT coalesce((SELECT id FROM tags WHERE name = u.name), -1) "                        \
    "FROM unnest($1::text[], $2::bigint[]) u (name, item) WHERE u.item = i.n), "                   \
    "ARRAY(SELECT v.name FROM unnest($3::text[], $4::bigint[]) v (name, item) WHERE v.item = i.n) " \
    "FROM generate_series(1, $5::bigint) i (n))"

/* The lists of item i with their ends; id is NULL for the types. */
#define PG_SEARCH_ENDS                                                                             \
    "SELECT u.id, u.n, coalesce((SELECT a.position FROM event_tags a WHERE a.tag_id = u.id AND "   \
    "a.position >= w.next ORDER BY a.position OFFSET $8::bigint - 1 LIMIT 1), " PG_SEARCH_END      \
    ") AS ends FROM unnest(i.ids) WITH ORDINALITY u (id, n) UNION ALL "                            \
    "SELECT NULL, 0, min(coalesce((SELECT e.position FROM events e WHERE "                         \
    OF_TYPE("e", "v.name", "w.next") " OFFSET $8::bigint - 1 LIMIT 1), " PG_SEARCH_END ")) "       \
    "FROM unnest(i.types) v (name) HAVING cardinality(i.types) > 0"

/* The rarest list and the second one: a key has the end and, to tell equal ones apart, a number. */
#define PG_SEARCH_RAREST                                                                           \
    "SELECT max(s.ends) FILTER (WHERE s.key = s.key1) AS end1, "                                   \
    "max(s.ends) FILTER (WHERE s.key = s.key2) AS end2, "                                          \
    "max(s.id) FILTER (WHERE s.key = s.key1) AS id1, "                                             \
    "max(s.id) FILTER (WHERE s.key = s.key2) AS id2 FROM ("                                        \
    "SELECT r.*, max(r.key) FILTER (WHERE r.key < r.key1) OVER () AS key2 FROM ("                  \
    "SELECT l.*, l.ends * " PG_SEARCH_LISTS " + l.n AS key, "                                      \
    "max(l.ends * " PG_SEARCH_LISTS " + l.n) OVER () AS key1 FROM (" PG_SEARCH_ENDS ") l) r) s"

/* Which of an item's lists are read, and up to where. */
#define PG_SEARCH_WINDOW                                                                           \
    "SELECT i.types, x.*, array_remove(CASE WHEN x.is_merged THEN array_remove(i.ids, x.id2) "     \
    "ELSE i.ids END, x.id1) AS others, "                                                           \
    "least($7::bigint, min(CASE WHEN x.is_merged THEN x.end2 ELSE x.end1 END) OVER ()) AS until "  \
    "FROM item i CROSS JOIN LATERAL (SELECT z.*, coalesce(z.id1 + z.id2 IS NOT NULL AND "          \
    "z.end2 - w.next >= (z.end1 - w.next) / " PG_SEARCH_MERGED ", false) AS is_merged FROM ("      \
    PG_SEARCH_RAREST ") z OFFSET 0) x"

/* The window of a tag's list; none when the id is NULL. */
#define PG_SEARCH_LIST(id)                                                                         \
    "SELECT position FROM event_tags WHERE tag_id = " id " AND position >= w.next AND "            \
    "position <= y.until"

/* Entries of the leading list: those that the second one has too, or all of a tag or of the types.
 * An outer join is merged or hashed, never a loop; the filter after it is one that the planner
 * cannot turn into an inner join. */
#define PG_SEARCH_LED                                                                              \
    "SELECT a.position AS p FROM (" PG_SEARCH_LIST("CASE WHEN y.is_merged THEN y.id1 END")         \
    PG_SEARCH_LIMIT ") a FULL JOIN (" PG_SEARCH_LIST("CASE WHEN y.is_merged THEN y.id2 END")       \
    PG_SEARCH_LIMIT ") b ON b.position = a.position WHERE CASE WHEN a.position IS NULL THEN "    \
    "false ELSE b.position IS NOT NULL END UNION ALL "                                             \
    PG_SEARCH_LIST("CASE WHEN y.is_merged THEN NULL ELSE y.id1 END") " UNION ALL "                 \
    "SELECT e.position FROM unnest(CASE WHEN y.id1 IS NULL THEN y.types END) v (name) CROSS JOIN " \
    "LATERAL (SELECT position FROM events WHERE (type, position) >= (v.name, w.next) AND "         \
    "(type, position) <= (v.name, y.until) ORDER BY type, position OFFSET 0) e"

/* Those of them that all other lists have. In its order by position, an event is found through the
 * index on positions only. */
#define PG_SEARCH_HITS                                                                             \
    "SELECT c.p FROM (" PG_SEARCH_LED ") c WHERE (y.others = '{}' OR (SELECT count(*) FROM "       \
    "event_tags b WHERE b.tag_id = ANY (y.others) AND b.position = c.p) = cardinality(y.others)) " \
    "AND (y.id1 IS NULL OR y.types = '{}' OR (SELECT e.type FROM (SELECT position, type FROM "      \
    "events WHERE position >= c.p ORDER BY position LIMIT 1) e WHERE e.position = c.p) "           \
    "= ANY (y.types))"

#define PG_SEARCH_WALK                                                                             \
    "walk (next, found, hits) AS (SELECT $6::bigint, 0::bigint, '{}'::bigint[] UNION ALL "         \
    "SELECT n.until + 1, w.found + cardinality(n.hits), n.hits FROM walk w CROSS JOIN LATERAL ("   \
    "SELECT min(y.until) AS until, coalesce(array_agg(h.p) FILTER (WHERE h.p IS NOT NULL), '{}') " \
    "AS hits FROM (" PG_SEARCH_WINDOW ") y CROSS JOIN LATERAL (SELECT ARRAY(" PG_SEARCH_HITS       \
    ") AS hits OFFSET 0) g LEFT JOIN LATERAL unnest(g.hits) h (p) ON true) n "                     \
    "WHERE w.next <= $7 AND w.found < $9::bigint AND (w.next = $6 OR clock_timestamp() < "         \
    "statement_timestamp() + " PG_SEARCH_TIME "))"

#define PG_SEARCH_SQL                                                                              \
    "WITH RECURSIVE " PG_SEARCH_ITEMS ", " PG_SEARCH_WALK                                          \
    " SELECT e.*, r.next - 1, r.last FROM (SELECT max(next) AS next, (SELECT max(hit) FROM walk, " \
    "unnest(hits) hit) AS last, ARRAY(SELECT unnest(hits) FROM walk) AS hits FROM walk) r "        \
    "LEFT JOIN LATERAL (" EVENTS_BOUNDED("position = ANY (r.hits)", "position", "$9", "$10::bigint") \
    ") e ON true"

/* clang-format on */

#endif
