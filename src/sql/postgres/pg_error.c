/* pg_error.c: see pg_error.h. Statuses are looked up by SQLSTATE: the whole one first, then its
 * class. */
#include "sql/postgres/pg_error.h"

#include <ctype.h>
#include <stdio.h>

#define MINIMUM_VERSION 140000

/* clang-format off */
static const struct { const char *state; ex_status status; bool is_end; } states[] = {
    { "08",    EX_EAGAIN,    true  }, /* connection exceptions */
    { "22",    EX_EINVAL,    false }, /* data exceptions */
    { "23505", EX_EEXISTS,   false }, /* unique violation */
    { "25006", EX_EREADONLY, false }, /* read only: a standby */
    { "25P03", EX_EAGAIN,    true  }, /* idle in transaction for too long */
    { "25P04", EX_EAGAIN,    true  }, /* transaction took too long (17) */
    { "40",    EX_EAGAIN,    false }, /* serialization failure, deadlock, outcome unknown */
    { "53",    EX_EAGAIN,    false }, /* too many connections, out of memory, … */
    { "53100", EX_ESTORAGE,  false }, /* disk full */
    { "54",    EX_ETOOLARGE, false }, /* a limit of the server's */
    { "55006", EX_EAGAIN,    false }, /* object in use */
    { "55P03", EX_EAGAIN,    false }, /* lock not available in time */
    { "57",    EX_EAGAIN,    true  }, /* shutdown, crash, starting up, idle session */
    { "57014", EX_ETIMEOUT,  false }, /* statement cancelled */
    { "57P04", EX_EDATABASE, true  }, /* database dropped */
    { "58030", EX_ESTORAGE,  false }, /* I/O error */
    { "XX001", EX_ECORRUPT,  false },
    { "XX002", EX_ECORRUPT,  false },
};
/* clang-format on */

static size_t find_state(const char *sqlstate)
{
    size_t n = sizeof(states) / sizeof(states[0]), found = n;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(states[i].state, sqlstate) == 0)
            return i;
        if (states[i].state[2] == '\0' && strncmp(states[i].state, sqlstate, 2) == 0)
            found = i;
    }
    return found;
}

ex_status pg_status_of(const char *sqlstate)
{
    size_t i = find_state(sqlstate);
    return i < sizeof(states) / sizeof(states[0]) ? states[i].status : EX_EDATABASE;
}

bool pg_ends_connection(const char *sqlstate)
{
    size_t i = find_state(sqlstate);
    return i < sizeof(states) / sizeof(states[0]) && states[i].is_end;
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text && *text ? text : otherwise;
}

/* "permission denied for table events" gives "table events"; the server's text may be translated.
 */
static const char *denied_thing(const char *primary)
{
    static const char prefix[] = "permission denied for ";
    if (primary && strncmp(primary, prefix, sizeof(prefix) - 1) == 0)
        return primary + sizeof(prefix) - 1;
    return "an object it needs";
}

static ex_status raise_class(const pg_report *r, ex_status st, const char *label, ex_error *err)
{
    const char *state = r->sqlstate;
    if (strncmp(state, "22", 2) == 0) /* the server's text quotes the value */
        return ex_raise(err, st, "PostgreSQL refused a value (SQLSTATE %s%s%s)", state,
                        r->column ? ", column " : "", text_or(r->column, ""));
    if (strncmp(state, "23", 2) == 0)
        return ex_raise(err, st, "a row of table \"%s\" breaks constraint \"%s\" (SQLSTATE %s)",
                        text_or(r->table, "?"), text_or(r->constraint, text_or(r->column, "?")),
                        state);
    if (strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0)
        return ex_raise(err, st, "lost the connection to PostgreSQL at %s: %s", label,
                        text_or(r->primary, "closed"));
    if (strncmp(state, "40", 2) == 0)
        return ex_raise(err, st, "PostgreSQL gave up a transaction that met another: %s",
                        text_or(r->primary, state));
    return ex_raise(err, st, "PostgreSQL refused a statement: %s (SQLSTATE %s)",
                    text_or(r->primary, "no reason given"), state);
}

ex_status pg_raise_report(const pg_report *report, const char *role, const char *label,
                          ex_error *err)
{
    const char *state = report->sqlstate;
    ex_status st = pg_status_of(state);
    if (strcmp(state, "42501") == 0)
        return ex_raise(err, st, "role \"%s\" lacks a grant on %s of PostgreSQL at %s", role,
                        denied_thing(report->primary), label);
    if (strcmp(state, "57014") == 0)
        return ex_raise(err, st, "PostgreSQL cancelled a statement that took too long");
    if (strcmp(state, "53100") == 0)
        return ex_raise(err, st, "the disk of PostgreSQL at %s is full", label);
    if (strcmp(state, "53300") == 0)
        return ex_raise(err, st, "PostgreSQL at %s has too many connections", label);
    if (strcmp(state, "25006") == 0)
        return ex_raise(err, st, "PostgreSQL at %s is read-only: a standby, not the primary",
                        label);
    if (strcmp(state, "55P03") == 0)
        return ex_raise(err, st, "a lock in PostgreSQL was not free in time");
    return raise_class(report, st, label, err);
}

/* ---- failures to connect ---- */

/* The last line that says something: with several hosts each attempt adds its own lines; hints
 * begin with a tab, LOCATION and the like with a word in capitals. */
static ex_slice last_attempt(const char *text)
{
    ex_slice found = EX_S("no reason given");
    while (*text) {
        size_t n = strcspn(text, "\n");
        ex_slice line = {text, n};
        if (n > 0 && text[0] != '\t' && !ex_slice_starts(line, EX_S("LOCATION:")) &&
            !ex_slice_starts(line, EX_S("DETAIL:")) && !ex_slice_starts(line, EX_S("HINT:")))
            found = line;
        text += n + (text[n] == '\n');
    }
    return found;
}

static ex_slice after(ex_slice text, const char *mark)
{
    const char *at = memmem(text.ptr, text.len, mark, strlen(mark));
    if (!at)
        return text;
    at += strlen(mark);
    return ex_slice_of(at, (size_t)(text.ptr + text.len - at));
}

/* "FATAL:  28P01: password …" gives the SQLSTATE and the rest; the first word may be translated. */
static bool take_sqlstate(ex_slice *text, char ret[PG_SQLSTATE_SIZE])
{
    ex_slice rest = after(*text, ":  ");
    if (rest.ptr == text->ptr || rest.len < 7 || rest.ptr[5] != ':' || rest.ptr[6] != ' ')
        return false;
    for (int i = 0; i < 5; i++) {
        if (!isdigit((unsigned char)rest.ptr[i]) && !isupper((unsigned char)rest.ptr[i]))
            return false;
    }
    memcpy(ret, rest.ptr, 5);
    ret[5] = '\0';
    *text = ex_slice_of(rest.ptr + 7, rest.len - 7);
    return true;
}

/* What the server says to one who may not come in. */
static ex_status raise_refused(const char *state, ex_slice text, const char *role,
                               const char *database, const char *label, ex_error *err)
{
    ex_status st = pg_status_of(state);
    if (strcmp(state, "28P01") == 0)
        return ex_raise(err, st,
                        "cannot connect to PostgreSQL at %s: the password for role \"%s\" is "
                        "wrong, or there is no such role",
                        label, role);
    if (strcmp(state, "3D000") == 0)
        return ex_raise(err, st,
                        "cannot connect to PostgreSQL at %s: database \"%s\" does not exist", label,
                        database);
    if (strcmp(state, "42501") == 0)
        return ex_raise(
            err, st,
            "cannot connect to PostgreSQL at %s: role \"%s\" lacks the grant to connect "
            "to database \"%s\"",
            label, role, database);
    if (strcmp(state, "53300") == 0)
        return ex_raise(err, st, "cannot connect to PostgreSQL at %s: it has too many connections",
                        label);
    return ex_raise(err, st, "cannot connect to PostgreSQL at %s: %.*s", label, EX_ARG(text));
}

ex_status pg_raise_connect(const char *text, const char *role, const char *database,
                           const char *label, char ret_sqlstate[PG_SQLSTATE_SIZE], ex_error *err)
{
    ex_slice line = after(last_attempt(text), " failed: ");
    ret_sqlstate[0] = '\0';
    if (take_sqlstate(&line, ret_sqlstate))
        return raise_refused(ret_sqlstate, line, role, database, label, err);
    if (memmem(line.ptr, line.len, "no password supplied", 20))
        return ex_raise(
            err, EX_EDATABASE,
            "cannot connect to PostgreSQL at %s: it asks for the password of role \"%s\", "
            "and none was given in the URL, PGPASSWORD or ~/.pgpass",
            label, role);
    static const char unknown[] = "could not translate host name ";
    if (ex_slice_starts(line, EX_S(unknown))) {
        ex_slice host = after(line, "\"");
        const char *end = memchr(host.ptr, '"', host.len);
        host.len = end ? (size_t)(end - host.ptr) : host.len;
        return ex_raise(err, EX_EAGAIN,
                        "cannot connect to PostgreSQL at %s: host \"%.*s\" is unknown", label,
                        EX_ARG(host));
    }
    /* TLS and passwords do not mend themselves; a server that cannot be reached may come back. */
    bool is_tls =
        memmem(line.ptr, line.len, "SSL", 3) || memmem(line.ptr, line.len, "certificate", 11);
    char first = line.len ? (char)tolower((unsigned char)line.ptr[0]) : ' ';
    bool is_name = line.len > 1 && isupper((unsigned char)line.ptr[1]); /* "SSL …" stays */
    return ex_raise(err, is_tls ? EX_EDATABASE : EX_EAGAIN,
                    "cannot connect to PostgreSQL at %s: %c%.*s", label,
                    is_name ? line.ptr[0] : first, (int)(line.len ? line.len - 1 : 0),
                    line.len ? line.ptr + 1 : "");
}

ex_status pg_check_version(int version, const char *label, ex_error *err)
{
    if (version >= MINIMUM_VERSION)
        return EX_OK;
    return ex_raise(err, EX_EDATABASE,
                    "PostgreSQL at %s has version %d.%d, and ExCore needs version 14 or later",
                    label, version / 10000,
                    version >= 100000 ? version % 10000 : version / 100 % 100);
}
