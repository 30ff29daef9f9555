/* schema.h: the tables of a store in a PostgreSQL schema, and their format version. */
#ifndef EXCORE_STORE_POSTGRES_SCHEMA_H
#define EXCORE_STORE_POSTGRES_SCHEMA_H

#include "sql/postgres/pg_conn.h"
#include "store/features.h"

#define PG_SCHEMA_VERSION 4 /* the number of the format in files, which had 3 before it */

/* Bytes of an event that can be large; their number is read without the bytes themselves. */
#define PG_EVENT_BYTES "(octet_length(data) + coalesce(octet_length(metadata), 0))"
/* Which events the index events_large has; a thousand of the others may come at once. */
#define PG_IS_LARGE PG_EVENT_BYTES " > 2048"

/* When the server began to run, in microseconds: no two servers have the same. */
#define PG_SERVER_START "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"

typedef enum pg_schema_wish {
    PG_SCHEMA_MUST_EXIST, /* and be of this version */
    PG_SCHEMA_CREATE,     /* make it when there is none; an older one is refused */
    PG_SCHEMA_MIGRATE     /* also bring an older one up to date */
} pg_schema_wish;

/** See to it that the connection's schema holds a store of this version, and none of its features
 *  forbids what is to be done.
 *  @param ret what it has then
 *  @return EX_OK, EX_ENOTFOUND, EX_EFORMAT (newer, older, changed, not a store), what the
 * statements fail with */
EX_NODISCARD ex_status pg_schema_open(ex_pg *pg, pg_schema_wish wish, bool to_write,
                                      store_features *ret, ex_error *err);
/** The version of the store in the connection's schema, and its features; changes nothing.
 *  @return EX_OK, EX_ENOTFOUND, EX_EFORMAT (newer, changed, not a store) */
EX_NODISCARD ex_status pg_schema_version(ex_pg *pg, uint32_t *ret, store_features *ret_features,
                                         ex_error *err);

#endif
