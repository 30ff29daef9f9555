/* postgres.h: the private PostgreSQL that the tests of a build folder share (tools/postgres.sh).
 *
 * Test programs that need it run under `tools/postgres.sh with DIR`; without that they fail. */
#ifndef EXCORE_TESTS_POSTGRES_H
#define EXCORE_TESTS_POSTGRES_H

#include <stdbool.h>
#include <stddef.h>

#define POSTGRES_URL_SIZE 1024

/** The URL through the socket, as superuser excore of database excore. Ends the program when there
 *  is none. */
const char *postgres_url(void);
/** The same through TCP on loopback, with the password. */
const char *postgres_tcp_url(void);
/** The path of tools/postgres.sh. */
const char *postgres_script(void);
/** Run it with a verb for a cluster of one's own; the first line that it prints goes to `out`
 *  (nullable). @return whether it succeeded */
bool postgres_run(const char *verb, const char *dir, char *out, size_t size);

/** `url` with another schema, unique to this process and `name` ([a-z0-9_]). */
const char *postgres_schema_url(const char *url, const char *name, char ret[POSTGRES_URL_SIZE]);

/** Drop the schema that a URL names, with all that is in it; none is fine. Says so when it fails.
 */
void postgres_drop_schema(const char *url);

#endif
