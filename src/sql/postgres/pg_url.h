/* pg_url.h: a postgres:// URL taken apart: our own parameter, the rules for TLS, a label for
 * messages.
 *
 *   postgres://ROLE:PASSWORD@HOST:PORT/DATABASE?schema=NAME&sslmode=…&connect_timeout=SECONDS&…
 *
 * schema is ExCore's own and does not reach libpq; everything else is libpq's, which also reads
 * PGPASSWORD and ~/.pgpass, so that a secret need not stand in the URL. */
#ifndef EXCORE_SQL_POSTGRES_PG_URL_H
#define EXCORE_SQL_POSTGRES_PG_URL_H

#include <excore/error.h>

#define EX_PG_NAME_SIZE  64 /* PostgreSQL's names have 63 bytes */
#define EX_PG_LABEL_SIZE 320

typedef struct ex_pg_target {
    char *url;                      /* for libpq, without `schema`; may hold a password */
    char schema[EX_PG_NAME_SIZE];   /* [excore]: [a-z_][a-z0-9_]*, at most 48 bytes, not pg_… */
    char role[EX_PG_NAME_SIZE];     /* "" when the URL names none */
    char database[EX_PG_NAME_SIZE]; /* "" when the URL names none */
    char label[EX_PG_LABEL_SIZE];   /* "HOST:PORT/DATABASE" or "/socket/dir/DATABASE" */
    char sslmode[16];               /* [prefer] disable, prefer, require, verify-ca, verify-full */
    uint32_t host_count;            /* at least 1; the lists have as many, one for all, or are "" */
    char *hosts, *addresses, *ports; /* separated by commas */
    char session_attrs[16];          /* target_session_attrs, "" when the URL has none */
    bool is_remote;                  /* some host is neither a socket nor loopback */
    uint32_t connect_timeout_ms;     /* 0 when the URL has none */
} ex_pg_target;

/** Does the text begin with postgres:// or postgresql://? Thread: any. */
bool ex_pg_is_url(const char *text);

/** Take a URL apart. Messages never hold the URL or any part of its password.
 *  @return EX_OK, EX_EINVAL (with the reason), EX_ENOMEM; *ret must be released on success */
EX_NODISCARD ex_status ex_pg_target_init(ex_pg_target *ret, const char *url, ex_error *err);
/** A zeroed one is accepted; the password is wiped. */
void ex_pg_target_done(ex_pg_target *t);

/** The URL with the files that it names (sslrootcert, sslcert, sslkey, sslcrl, sslcrldir,
 * passfile), or that libpq's environment names in its place, from the root on: connections are
 * opened when they are needed, and the process may have gone elsewhere.
 *  @param ret the caller's, to be freed
 *  @return EX_OK, EX_EINVAL (no good URL), EX_EFILESYSTEM, EX_ENOMEM. Thread: any. */
EX_NODISCARD ex_status ex_pg_url_absolute(const char *url, char **ret, ex_error *err);

#define EX_PG_PLACE_SIZE (EX_PG_LABEL_SIZE + EX_PG_NAME_SIZE + 32)

/** What may be shown of a place, a directory or a URL: no password, the schema by name. A directory
 * is given back as it is, else `room` is filled and given back. */
const char *ex_pg_show_place(const char *place, char room[EX_PG_PLACE_SIZE]);

/** R-01-34: in production a host that is not loopback needs sslmode=require or stronger.
 *  @return EX_OK or EX_EINVAL */
EX_NODISCARD ex_status ex_pg_target_check_tls(const ex_pg_target *t, ex_error *err);

#endif
