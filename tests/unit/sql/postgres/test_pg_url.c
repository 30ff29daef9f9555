/* test_pg_url.c: PostgreSQL URLs, SQLSTATEs and messages, without a server. */
#include "sql/postgres/pg_error.h"
#include "sql/postgres/pg_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void test_pg_url_parts(void **state)
{
    (void)state;
    static const struct {
        const char *url, *for_libpq, *schema, *role, *label, *sslmode;
        bool is_remote;
        uint32_t connect_ms;
    } cases[] = {
        {"postgres://bob:pw@db.example:5433/orders", "postgres://bob:pw@db.example:5433/orders",
         "excore", "bob", "db.example:5433/orders", "prefer", true, 0},
        {"postgresql://bob@127.0.0.1/orders?schema=shop", "postgresql://bob@127.0.0.1/orders",
         "shop", "bob", "127.0.0.1:5432/orders", "prefer", false, 0},
        {"postgres://bob@/orders?host=/run/pg&schema=a_1&connect_timeout=3&sslmode=disable",
         "postgres://bob@/orders?host=/run/pg&connect_timeout=3&sslmode=disable", "a_1", "bob",
         "/run/pg/orders", "disable", false, 3000},
        {"postgres://localhost,db2/x?sslmode=verify-full&schema=s",
         "postgres://localhost,db2/x?sslmode=verify-full", "s", "", "localhost,db2/x",
         "verify-full", true, 0},
        {"postgres://[::1]:7/x?schema=s&sslmode=require", "postgres://[::1]:7/x?sslmode=require",
         "s", "", "::1:7/x", "require", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_pg_target t;
        ex_error err = {0};
        assert_int_equal(ex_pg_target_init(&t, cases[i].url, &err), EX_OK);
        assert_string_equal(t.url, cases[i].for_libpq);
        assert_string_equal(t.schema, cases[i].schema);
        assert_string_equal(t.role, cases[i].role);
        assert_string_equal(t.label, cases[i].label);
        assert_string_equal(t.sslmode, cases[i].sslmode);
        assert_int_equal(t.is_remote, cases[i].is_remote);
        assert_int_equal(t.connect_timeout_ms, cases[i].connect_ms);
        ex_pg_target_done(&t);
    }
}

/* R-01-35: no message shows the URL or its password. */
static void test_pg_url_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url, *text;
    } cases[] = {
        {"mysql://a:secret@b/c", "cannot be read"},
        {"postgres://a:secret%zz@b/c", "cannot be read"},
        {"postgres://a:secret@[::1/c", "cannot be read"},
        {"postgres://a:secret@b/c?speed=high", "unknown parameter \"speed\""},
        {"postgres://a:secret/x@b:5432/c",
         "other special characters as %XX"}, /* the host is a, its port the password */
        {"postgres://a:17/secret@b:5432/c", "other special characters as %XX"},
        {"postgres://a:secret@17@b/c", "other special characters as %XX"},
        {"postgres://a:secret@b,c:1,d:2/x?port=1,2", "as many ports"},
        {"postgres://a:secret@b,,c/x", "is empty"},
        {"postgres://a:secret@b,c/x?hostaddr=127.0.0.1", "as many ports and addresses"},
        {"postgres://a:secret@b,c/x?target_session_attrs=boss", "target_session_attrs"},
        {"postgres://a:secret@b/c?schema=", "the schema"},
        {"postgres://a:secret@b/c?schema=Shop", "the schema"},
        {"postgres://a:secret@b/c?schema=pg_x", "the schema"},
        {"postgres://a:secret@b/c?schema=1x", "the schema"},
        {"postgres://a:secret@b/c?schema=a\"b", "the schema"},
        {"postgres://a:secret@b/c?schema=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "the schema"},
        {"postgres://a:secret@b/c?sslmode=allow", "sslmode"},
        {"postgres://a:secret@b/c?connect_timeout=0", "connect_timeout"},
        {"postgres://a:secret@b/c?connect_timeout=5s", "connect_timeout"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_pg_target t;
        ex_error err = {0};
        assert_int_equal(ex_pg_target_init(&t, cases[i].url, &err), EX_EINVAL);
        assert_non_null(strstr(err.message, cases[i].text));
        assert_null(strstr(err.message, "secret"));
    }
}

/* R-01-34: what stands in the environment counts as what stands in the URL. */
static void test_pg_url_hosts_of_the_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"PGHOST", "PGHOSTADDR"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ex_pg_target t;
        assert_int_equal(setenv(names[i], "10.1.2.3", 1), 0);
        ex_status st = ex_pg_target_init(&t, "postgres:///x", NULL);
        assert_int_equal(unsetenv(names[i]), 0);
        assert_int_equal(st, EX_OK);
        assert_true(t.is_remote);
        assert_string_equal(t.label, "10.1.2.3:5432/x");
        ex_pg_target_done(&t);
    }
}

/* G-201 (issue 8, item 3): libpq opens these files again for every connection; of a parameter that
 * stands twice it takes the last. */
static void test_pg_url_files_are_absolute(void **state)
{
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof(here)));
    assert_int_equal(chdir("/usr"), 0);
    static const struct {
        const char *name, *url, *more;
    } rows[] = {
        {"nothing to do", "postgres://h/x?schema=s&sslcrldir=/r", ""},
        {"relative", "postgres://h/x?sslrootcert=ca.crt&schema=s&sslcrldir=/r",
         "&sslrootcert=/usr/ca.crt"},
        {"the environment's", "postgres://h/x", "?sslcrldir=/usr/revoked"},
        {"escaped", "postgres://h/x?sslkey=a%20b%26c%3F%25&sslcrldir=/r",
         "&sslkey=/usr/a%20b%26c%3F%25"},
        {"absolute", "postgres://h/x?sslcert=/etc/c.crt&sslcrldir=/r", ""},
        {"the system's", "postgres://h/x?sslrootcert=system&sslcrldir=/r", ""},
        {"beside a password", "postgres://a:p%40%2F@h/x?sslcrldir=/r&passfile=p&sslcrl=../c",
         "&sslcrl=/usr/../c&passfile=/usr/p"},
    };
    assert_int_equal(setenv("PGSSLCRLDIR", "revoked", 1), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char want[256], *url = NULL;
        ex_pg_target t;
        (void)snprintf(want, sizeof(want), "%s%s", rows[i].url, rows[i].more);
        assert_int_equal(ex_pg_url_absolute(rows[i].url, &url, NULL), EX_OK);
        if (strcmp(url, want) != 0)
            fail_msg("%s: %s", rows[i].name, url);
        assert_int_equal(ex_pg_target_init(&t, url, NULL), EX_OK);
        ex_pg_target_done(&t);
        free(url);
    }
    assert_int_equal(unsetenv("PGSSLCRLDIR"), 0);
    assert_int_equal(chdir(here), 0);
}

/* R-01-34 */
static void test_pg_url_tls_in_production(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        ex_status want;
    } cases[] = {
        {"postgres://db.example/x", EX_EINVAL},
        {"postgres://db.example/x?sslmode=disable", EX_EINVAL},
        {"postgres://db.example/x?sslmode=require", EX_OK},
        {"postgres://db.example/x?sslmode=verify-ca", EX_OK},
        {"postgres://localhost,db.example/x", EX_EINVAL},
        {"postgres://127.0.0.1/x", EX_OK},
        {"postgres:///x?host=/run/pg", EX_OK},
        {"postgres://localhost/x?hostaddr=10.1.2.3", EX_EINVAL}, /* where libpq connects to */
        {"postgres://localhost/x?hostaddr=127.0.0.2", EX_OK},
        {"postgres://127.example.com/x", EX_EINVAL},
        {"postgres:///x?service=shop", EX_EINVAL}, /* the host stands in a file */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_pg_target t;
        assert_int_equal(ex_pg_target_init(&t, cases[i].url, NULL), EX_OK);
        assert_int_equal(ex_pg_target_check_tls(&t, NULL), cases[i].want);
        ex_pg_target_done(&t);
    }
}

static void test_pg_error_status_of_sqlstate(void **state)
{
    (void)state;
    static const struct {
        const char *sqlstate;
        ex_status want;
        bool is_end;
    } cases[] = {
        {"40001", EX_EAGAIN, false},    {"40P01", EX_EAGAIN, false},
        {"08006", EX_EAGAIN, true},     {"57P01", EX_EAGAIN, true},
        {"57P03", EX_EAGAIN, true},     {"57014", EX_ETIMEOUT, false},
        {"53300", EX_EAGAIN, false},    {"53100", EX_ESTORAGE, false},
        {"23505", EX_EEXISTS, false},   {"23503", EX_EDATABASE, false},
        {"22003", EX_EINVAL, false},    {"25006", EX_EREADONLY, false},
        {"28P01", EX_EDATABASE, false}, {"3D000", EX_EDATABASE, false},
        {"42501", EX_EDATABASE, false}, {"XX001", EX_ECORRUPT, false},
        {"55P03", EX_EAGAIN, false},    {"99999", EX_EDATABASE, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(pg_status_of(cases[i].sqlstate), cases[i].want);
        assert_int_equal(pg_ends_connection(cases[i].sqlstate), cases[i].is_end);
    }
}

static void test_pg_error_connect_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want, *sqlstate;
        ex_status status;
    } cases[] = {
        {"connection to server at \"10.0.0.1\", port 5432 failed: Connection refused\n\tIs the "
         "server "
         "running on that host and accepting TCP/IP connections?\n",
         "cannot connect to PostgreSQL at H: connection refused", "", EX_EAGAIN},
        {"connection to server at \"a\" (1.2.3.4), port 5 failed: Connection refused\n\tIs …?\n"
         "connection to server at \"b\" (1.2.3.5), port 5 failed: FATAL:  57P03: the database "
         "system is "
         "starting up\nLOCATION:  ProcessStartupPacket, postmaster.c:2361\n",
         "cannot connect to PostgreSQL at H: the database system is starting up", "57P03",
         EX_EAGAIN},
        {"connection to server on socket \"/x/.s.PGSQL.5432\" failed: FATAL:  28P01: password "
         "authentication failed for user \"bob\"\nLOCATION:  auth_failed, auth.c:335\n",
         "cannot connect to PostgreSQL at H: the password for role \"bob\" is wrong, or there is "
         "no such role",
         "28P01", EX_EDATABASE},
        {"connection to server at \"x\", port 1 failed: FATAL:  3D000: database \"d\" does not "
         "exist\n",
         "cannot connect to PostgreSQL at H: database \"d\" does not exist", "3D000", EX_EDATABASE},
        {"connection to server at \"x\", port 1 failed: FATAL:  28000: role \"bob\" does not "
         "exist\n",
         "cannot connect to PostgreSQL at H: role \"bob\" does not exist", "28000", EX_EDATABASE},
        {"connection to server at \"x\", port 1 failed: fe_sendauth: no password supplied\n",
         "cannot connect to PostgreSQL at H: it asks for the password of role \"bob\", and none "
         "was given "
         "in the URL, PGPASSWORD or ~/.pgpass",
         "", EX_EDATABASE},
        {"could not translate host name \"nohost\" to address: Name or service not known\n",
         "cannot connect to PostgreSQL at H: host \"nohost\" is unknown", "", EX_EAGAIN},
        {"connection to server at \"x\", port 1 failed: server does not support SSL, but SSL was "
         "required\n",
         "cannot connect to PostgreSQL at H: server does not support SSL, but SSL was required", "",
         EX_EDATABASE},
        {"connection to server at \"x\", port 1 failed: SSL error: certificate verify failed\n",
         "cannot connect to PostgreSQL at H: SSL error: certificate verify failed", "",
         EX_EDATABASE},
        {"", "cannot connect to PostgreSQL at H: no reason given", "", EX_EAGAIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err = {0};
        char sqlstate[PG_SQLSTATE_SIZE];
        ex_status st = pg_raise_connect(cases[i].text, "bob", "d", "H", sqlstate, &err);
        assert_string_equal(err.message, cases[i].want);
        assert_string_equal(sqlstate, cases[i].sqlstate);
        assert_int_equal(st, cases[i].status);
    }
}

static void test_pg_error_minimum_version(void **state)
{
    (void)state;
    ex_error err = {0};
    assert_int_equal(pg_check_version(140000, "H", &err), EX_OK);
    assert_int_equal(pg_check_version(130018, "H", &err), EX_EDATABASE);
    assert_string_equal(err.message,
                        "PostgreSQL at H has version 13.18, and ExCore needs version 14 or later");
    assert_int_equal(pg_check_version(90624, "H", &err), EX_EDATABASE);
    assert_non_null(strstr(err.message, "version 9.6,"));
}

static void test_pg_url_shown_without_password(void **state)
{
    (void)state;
    static const struct {
        const char *place;
        const char *want;
    } cases[] = {
        {"./data", "./data"},
        {"postgres://me:secret@db:5433/shop?schema=orders", "postgres db:5433/shop, schema orders"},
        {"postgres://me:secret@db/shop?schema=Bad-Name", "postgres://\xe2\x80\xa6"},
    };
    char room[EX_PG_PLACE_SIZE];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(ex_pg_show_place(cases[i].place, room), cases[i].want);
    assert_null(ex_pg_show_place(NULL, room));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_url_parts),
        cmocka_unit_test(test_pg_url_refused),
        cmocka_unit_test(test_pg_url_files_are_absolute),
        cmocka_unit_test(test_pg_url_tls_in_production),
        cmocka_unit_test(test_pg_url_hosts_of_the_environment),
        cmocka_unit_test(test_pg_url_shown_without_password),
        cmocka_unit_test(test_pg_error_status_of_sqlstate),
        cmocka_unit_test(test_pg_error_connect_texts),
        cmocka_unit_test(test_pg_error_minimum_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
