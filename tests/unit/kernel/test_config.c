/* test_config.c: sources and their order, every type, all faults at once, secrets, printing.
 *
 * Files are real; the environment is passed in, so nothing of the machine's own reaches a test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/config.h"
#include "support/alloc_fault.h"

/* clang-format off */
static const ex_config_key keys[] = {
    {"server.listen",       EX_CONFIG_STRING,   "127.0.0.1:8080", 0, 0, NULL, false, "Where to listen.", NULL},
    {"server.port",         EX_CONFIG_INT,      "8080", 0, 65535, NULL, false, "Port.\nSecond line.", NULL},
    {"log.level",           EX_CONFIG_ENUM,     "info", 0, 0, "debug|info|warn|error", false, "Level.", "LOG_LEVEL"},
    {"server.idle_timeout", EX_CONFIG_DURATION, "60s", 1000, 3600000, NULL, false, "Idle.", NULL},
    {"server.tls.cert",     EX_CONFIG_STRING,   NULL, 0, 0, NULL, false, "Certificate.", NULL},
    {"limits.body",         EX_CONFIG_BYTES,    "1MiB", 0, 1073741824, NULL, false, "Body.", NULL},
    {"limits.offset",       EX_CONFIG_INT,      "7", 0, 0, NULL, false, "Unbounded.", NULL},
    {"server.http2",        EX_CONFIG_BOOL,     "true", 0, 0, NULL, false, "HTTP/2.", NULL},
    {"store.password",      EX_CONFIG_STRING,   NULL, 0, 0, NULL, true, "Secret.", NULL},
    {"store.pin",           EX_CONFIG_INT,      "0", 0, 9999, NULL, true, "Secret number.", NULL},
};
/* clang-format on */
#define KEYS (sizeof(keys) / sizeof(keys[0]))

static char folder[64], path[128];
static char *const no_variables[] = {NULL};

static int set_up(void **state)
{
    (void)state;
    memcpy(folder, "/tmp/excore-config-XXXXXX", 26);
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/c.yaml", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

static void write_file(ex_slice text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
    assert_int_equal(fclose(f), 0);
}

/* Load from the file text (NULL: no file) and the rest; faults as text, freed by the next call. */
static ex_status load_all(const char *text, const char *const *variables,
                          const ex_config_flag *flags, size_t flag_count, ex_config **ret,
                          const char **ret_faults)
{
    static ex_buf faults;
    ex_buf_done(&faults);
    ex_buf_init(&faults, 0);
    if (text)
        write_file(ex_str(text));
    ex_config_sources s = {.file = text ? path : NULL,
                           .environ = variables ? (char *const *)variables : no_variables,
                           .flags = flags,
                           .flag_count = flag_count};
    ex_error err;
    *ret = NULL;
    ex_status status = ex_config_load(keys, KEYS, &s, ret, &faults, &err);
    assert_int_equal(status != EX_OK, *ret == NULL);
    assert_int_equal(status != EX_OK, faults.len > 0);
    if (status)
        assert_int_equal(err.status, status);
    ex_buf_put_char(&faults, '\0');
    /* paths are replaced, so that the tables can hold them */
    char *at;
    while ((at = strstr(faults.ptr, path)) != NULL) {
        *at = 'F';
        memmove(at + 1, at + strlen(path), strlen(at + strlen(path)) + 1);
    }
    if (ret_faults)
        *ret_faults = faults.ptr;
    if (!text && status == EX_OK)
        assert_string_equal(faults.ptr, "");
    return status;
}

static ex_config *load_file(const char *text)
{
    ex_config *c;
    const char *faults;
    if (load_all(text, NULL, NULL, 0, &c, &faults))
        fail_msg("%s", faults);
    return c;
}

static void free_faults(void)
{
    ex_config *c;
    assert_int_equal(load_all(NULL, NULL, NULL, 0, &c, NULL), EX_OK);
    ex_config_free(c);
}

static void test_config_defaults(void **state)
{
    (void)state;
    ex_config *c = load_file(NULL);
    assert_string_equal(ex_config_string(c, "server.listen"), "127.0.0.1:8080");
    assert_string_equal(ex_config_string(c, "server.tls.cert"), "");
    assert_int_equal(ex_config_int(c, "server.port"), 8080);
    assert_int_equal(ex_config_ms(c, "server.idle_timeout"), 60000);
    assert_int_equal(ex_config_bytes(c, "limits.body"), 1048576);
    assert_true(ex_config_bool(c, "server.http2"));
    assert_string_equal(ex_config_string(c, "log.level"), "info");
    assert_int_equal(ex_config_int(c, "log.level"), 1);
    assert_int_equal(ex_config_source_of(c, "server.port"), EX_CONFIG_DEFAULT);
    ex_config_free(c);
    ex_config_free(NULL);
}

/* R-01-27, R-01-28 */
static void test_config_flag_beats_environment_beats_file(void **state)
{
    (void)state;
    static const char file[] = "server:\n  port: 1\n  idle_timeout: 1s\n  listen: file\n";
    const char *variables[] = {"EXCORE_SERVER_PORT=2", "EXCORE_SERVER_IDLE_TIMEOUT=2s",
                               "EXCORE_SERVER_TLS_CERT=", "PATH=/bin", NULL};
    ex_config_flag flags[] = {{"server.port", "9"}, {"server.port", "3"}};
    ex_config *c;
    assert_int_equal(load_all(file, variables, flags, 2, &c, NULL), EX_OK);
    assert_int_equal(ex_config_int(c, "server.port"), 3);
    assert_int_equal(ex_config_source_of(c, "server.port"), EX_CONFIG_FLAG);
    assert_int_equal(ex_config_ms(c, "server.idle_timeout"), 2000);
    assert_int_equal(ex_config_source_of(c, "server.idle_timeout"), EX_CONFIG_ENV);
    assert_string_equal(ex_config_string(c, "server.listen"), "file");
    assert_int_equal(ex_config_source_of(c, "server.listen"), EX_CONFIG_FILE);
    assert_int_equal(ex_config_source_of(c, "server.tls.cert"), EX_CONFIG_ENV); /* set, but empty */
    assert_int_equal(ex_config_source_of(c, "server.http2"), EX_CONFIG_DEFAULT);
    ex_config_free(c);
}

/* R-01-38: PREFIX_LOG_LEVEL beats LOG_LEVEL beats the file. */
static void test_config_alias_is_weaker_than_the_own_variable(void **state)
{
    (void)state;
    const char *both[] = {"LOG_LEVEL=warn", "EXCORE_LOG_LEVEL=error", NULL};
    const char *alias[] = {"LOG_LEVEL=warn", NULL};
    ex_config *c;
    assert_int_equal(load_all("log: {level: debug}\n", both, NULL, 0, &c, NULL), EX_OK);
    assert_string_equal(ex_config_string(c, "log.level"), "error");
    ex_config_free(c);
    assert_int_equal(load_all("log: {level: debug}\n", alias, NULL, 0, &c, NULL), EX_OK);
    assert_string_equal(ex_config_string(c, "log.level"), "warn");
    ex_config_free(c);
}

/* R-01-31 */
static void test_config_explicit_zero_is_not_unset(void **state)
{
    (void)state;
    ex_config *c = load_file("limits: {offset: 0, body: 0}\n");
    assert_int_equal(ex_config_int(c, "limits.offset"), 0);
    assert_int_equal(ex_config_source_of(c, "limits.offset"), EX_CONFIG_FILE);
    assert_int_equal(ex_config_bytes(c, "limits.body"), 0);
    ex_config_free(c);
}

static void test_config_other_prefixes_and_ignored_variables(void **state)
{
    (void)state;
    static const char *const ignored[] = {"EXCORE_TEST_*", "EXCORE_DATA", NULL};
    const char *variables[] = {"EXCORE_TEST_A=1", "EXCORE_DATA=x", "APP_SERVER_PORT=5",
                               "SERVER_PORT=6", NULL};
    static const struct {
        const char *prefix;
        int64_t want;
    } cases[] = {{NULL, 8080}, {"APP_", 5}, {"", 6}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_config_sources s = {.environ = (char *const *)variables,
                               .env_prefix = cases[i].prefix,
                               .env_ignored = ignored};
        ex_config *c = NULL;
        assert_int_equal(ex_config_load(keys, KEYS, &s, &c, NULL, NULL), EX_OK);
        assert_int_equal(ex_config_int(c, "server.port"), cases[i].want);
        ex_config_free(c);
    }
}

static void test_config_reads_each_type(void **state)
{
    (void)state;
    static const struct {
        const char *key, *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"server.http2", "true", 1},
        {"server.http2", "True", 1},
        {"server.http2", "yes", 1},
        {"server.http2", "on", 1},
        {"server.http2", "1", 1},
        {"server.http2", "false", 0},
        {"server.http2", "no", 0},
        {"server.http2", "OFF", 0},
        {"server.http2", "0", 0},
        {"server.http2", "2", -1},
        {"server.http2", "", -1},
        {"server.port", "0", 0},
        {"server.port", "65535", 65535},
        {"server.port", "65536", -1},
        {"server.port", "-1", -1},
        {"server.port", "80 ", -1},
        {"server.port", "0x50", -1},
        {"server.port", "8e1", -1},
        {"server.port", "99999999999999999999", -1},
        {"limits.offset", "-0", 0},
        {"limits.offset", "9223372036854775807", INT64_MAX},
        {"limits.offset", "9223372036854775808", -1},
        {"limits.offset", "-", -1},
        {"limits.body", "65536", 65536},
        {"limits.body", "64KiB", 65536},
        {"limits.body", "1GiB", 1073741824},
        {"limits.body", "2GiB", -1},
        {"limits.body", "64KB", -1},
        {"limits.body", "KiB", -1},
        {"limits.body", "-1", -1},
        {"limits.body", "9223372036854775807TiB", -1},
        {"server.idle_timeout", "1000ms", 1000},
        {"server.idle_timeout", "10s", 10000},
        {"server.idle_timeout", "5m", 300000},
        {"server.idle_timeout", "1h", 3600000},
        {"server.idle_timeout", "7d", -1},
        {"server.idle_timeout", "0", -1},
        {"server.idle_timeout", "10", -1},
        {"server.idle_timeout", "1.5s", -1},
        {"server.idle_timeout", "-1s", -1},
        {"server.idle_timeout", "1h30m", -1},
        {"log.level", "debug", 0},
        {"log.level", "error", 3},
        {"log.level", "Error", -1},
        {"log.level", "debug|info", -1},
        {"log.level", "", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_config_flag flag = {cases[i].key, cases[i].text};
        ex_config *c;
        ex_status status = load_all(NULL, NULL, &flag, 1, &c, NULL);
        int64_t got = -1;
        if (status == EX_OK && strcmp(cases[i].key, "server.http2") == 0)
            got = ex_config_bool(c, cases[i].key);
        else if (status == EX_OK && strcmp(cases[i].key, "limits.body") == 0)
            got = (int64_t)ex_config_bytes(c, cases[i].key);
        else if (status == EX_OK && strcmp(cases[i].key, "server.idle_timeout") == 0)
            got = (int64_t)ex_config_ms(c, cases[i].key);
        else if (status == EX_OK)
            got = ex_config_int(c, cases[i].key);
        if (got != cases[i].want)
            fail_msg("%s=%s gave %lld", cases[i].key, cases[i].text, (long long)got);
        ex_config_free(c);
    }
}

/* R-01-30, R-01-32: one faulty file, every fault with its line. */
static void test_config_reports_all_faults_at_once(void **state)
{
    (void)state;
    static const char file[] = "server:\n"
                               "  port: 70000\n"
                               "  idle-timeout: 5s\n"
                               "  listen:\n"
                               "  tls:\n"
                               "    cert: [a, b]\n"
                               "  port: 1\n"
                               "port: 3\n"
                               "log: debug\n"
                               "limits:\n"
                               "  body: much\n"
                               "  zebra: {a: {b: 1}}\n"
                               "log.level: loud\n"
                               "store:\n"
                               "  password: ${NO_SUCH_VARIABLE}\n";
    const char *variables[] = {"EXCORE_SERVER_PROT=1", "EXCORE_LIMITS_OFFSET=x",
                               "EXCORE_QQQQQQQQQQQQQQQQQ=1", NULL};
    ex_config_flag flags[] = {{"server.http2", "maybe"}, {"server.htpt2", "1"}};
    ex_config *c;
    const char *faults;
    assert_int_equal(load_all(file, variables, flags, 2, &c, &faults), EX_EINVAL);
    assert_string_equal(
        faults, "F:2: server.port: 70000 is not within 0 to 65535\n"
                "F:3: server.idle-timeout: unknown key, did you mean server.idle_timeout?\n"
                "F:4: server.listen: has no value (\"\" is the empty text)\n"
                "F:6: server.tls.cert: a list is not expected here\n"
                "F:7: server.port: is given twice, first in line 2\n"
                "F:8: port: unknown key, did you mean server.port?\n"
                "F:9: log: is a section and takes no value itself\n"
                "F:11: limits.body: \"much\" is not a size such as 65536, 64KiB, 1MiB or 2GiB\n"
                "F:12: limits.zebra.a.b: unknown key\n"
                "F:13: log.level: \"loud\" is not one of debug|info|warn|error\n"
                "F:15: store.password: variable NO_SUCH_VARIABLE is not set and has no default\n"
                "EXCORE_LIMITS_OFFSET: limits.offset: \"x\" is not a whole number\n"
                "EXCORE_SERVER_PROT: unknown variable, did you mean EXCORE_SERVER_PORT?\n"
                "EXCORE_QQQQQQQQQQQQQQQQQ: unknown variable\n"
                "flag: server.http2: \"maybe\" is not true or false\n"
                "flag: server.htpt2: unknown key, did you mean server.http2?\n");
    free_faults();
}

static void test_config_yaml_faults(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *want;
    } cases[] = {
        {"anchor", "server: &a\n  port: 1\n",
         "F:1: server: anchors (&) and aliases (*) are not supported\n"},
        {"alias", "server:\n  listen: *a\n",
         "F:2: server.listen: anchors (&) and aliases (*) are not supported\n"},
        {"tag", "server: {port: !!int 1}\n", "F:1: server.port: tags (!) are not supported\n"},
        {"root is a list", "- a\n- b\n", "F:1: the file must be a mapping of names to values\n"},
        {"root is a text", "hello\n", "F:1: the file must be a mapping of names to values\n"},
        {"two documents", "server: {port: 1}\n---\nserver: {port: 2}\n",
         "F:2: the file has more than one document\n"},
        {"name is a mapping", "? {a: 1}\n: 2\n", "F:1: a name must be plain text\n"},
        {"empty name", "server: {\"\": 1}\n", "F:1: server: a name is empty\n"},
        {"section twice", "server: {port: 1}\nserver: {http2: on}\n",
         "F:2: server: is given twice, first in line 1\n"},
        {"dotted and nested", "server.port: 1\nserver: {port: 2}\n",
         "F:2: server.port: is given twice, first in line 1\n"},
        {"too deep", "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n",
         "F:1: a.b.c.d.e.f.g.h: is nested too deeply\n"},
        {"newline in a name", "\"a\\nb\": 1\n", "F:1: a?b: unknown key\n"},
        {"bad expansion", "server: {listen: \"${\"}\n",
         "F:1: server.listen: a ${ begins no ${VAR} or ${VAR:default} (write $${ for the text "
         "${)\n"},
        {"bad variable name", "server: {listen: \"${1A}\"}\n",
         "F:1: server.listen: a ${ begins no ${VAR} or ${VAR:default} (write $${ for the text "
         "${)\n"},
        {"NUL", "server: {listen: \"a\\0b\"}\n",
         "F:1: server.listen: the value is not text in UTF-8\n"},
        {"null word", "server: {listen: null}\n",
         "F:1: server.listen: has no value (\"\" is the empty text)\n"},
        {"secret number", "store: {pin: 1234x}\n", "F:1: store.pin: *** is not a whole number\n"},
        {"secret range", "store: {pin: 12345}\n", "F:1: store.pin: *** is not within 0 to 9999\n"},
        {"long value",
         "log: {level: "
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbb}\n",
         "F:1: log.level: "
         "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"... is not one of "
         "debug|info|warn|error\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_config *c;
        const char *faults;
        if (load_all(cases[i].text, NULL, NULL, 0, &c, &faults) != EX_EINVAL)
            fail_msg("%s was accepted", cases[i].name);
        if (strcmp(faults, cases[i].want) != 0)
            fail_msg("%s: got %s", cases[i].name, faults);
    }
    free_faults();
}

static void test_config_syntax_errors_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *prefix;
    } cases[] = {
        {"server:\n  port: 1\n bad\n", "F:3: not valid YAML: "},
        {"server: {port: 1\n", "F:2: not valid YAML: "},
        {"server:\n\tport: 1\n", "F:2: not valid YAML: "},
        {"server: \"\\q\"\n", "F:1: not valid YAML: "},
        {"server: \xff\n", "F: not valid YAML: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_config *c;
        const char *faults;
        assert_int_equal(load_all(cases[i].text, NULL, NULL, 0, &c, &faults), EX_EINVAL);
        if (strncmp(faults, cases[i].prefix, strlen(cases[i].prefix)) != 0)
            fail_msg("row %zu: got %s", i, faults);
    }
    free_faults();
}

static void test_config_files_that_are_fine(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "# only a comment\n",
        "---\n",
        "{}\n",
        "server:\n  # port: 1\n", /* a section with all its keys commented out */
        "\xef\xbb\xbfserver: {listen: x}\n",
        "{\"server\": {\"port\": 1, \"http2\": true}, \"limits\": {\"body\": 5}}", /* JSON */
        "server.port: 1\nserver:\n  http2: off\n",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ex_config_free(load_file(cases[i]));
}

static void test_config_files_that_cannot_be_read(void **state)
{
    (void)state;
    ex_config *c = NULL;
    ex_error err;
    ex_config_sources missing = {.file = "/no/such/file.yaml", .environ = no_variables};
    assert_int_equal(ex_config_load(keys, KEYS, &missing, &c, NULL, &err), EX_EFILESYSTEM);
    assert_string_equal(err.message,
                        "/no/such/file.yaml: cannot be opened: No such file or directory");
    ex_config_sources is_folder = {.file = folder, .environ = no_variables};
    assert_int_equal(ex_config_load(keys, KEYS, &is_folder, &c, NULL, NULL), EX_EFILESYSTEM);
    size_t size = ((size_t)1 << 20) + 1;
    char *big = malloc(size + 1);
    assert_non_null(big);
    memset(big, '#', size);
    big[size] = '\0';
    assert_int_equal(load_all(big, NULL, NULL, 0, &c, NULL), EX_EINVAL);
    big[size - 1] = '\0'; /* one byte less is read */
    assert_int_equal(load_all(big, NULL, NULL, 0, &c, NULL), EX_OK);
    ex_config_free(c);
    free(big);
    free_faults();
}

/* R-01-29 */
static void test_config_expands_variables(void **state)
{
    (void)state;
    const char *variables[] = {"HOST=h.example", "EMPTY=", "PORT=81", "TRICK=${HOST}", NULL};
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"${HOST}:80", "h.example:80"},
        {"a${HOST}b${HOST}c", "ah.examplebh.examplec"},
        {"${MISSING:fall back}", "fall back"},
        {"${MISSING:}", ""},
        {"${EMPTY:default}", ""},
        {"${HOST:default}", "h.example"},
        {"$HOST $ $$ 5$", "$HOST $ $$ 5$"},
        {"$${HOST}", "${HOST}"},
        {"$$${HOST}", "$${HOST}"},
        {"${TRICK}", "${HOST}"}, /* once, not again */
        {"${MISSING:a:b{c}", "a:b{c"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char file[256];
        (void)snprintf(file, sizeof(file), "server: {listen: \"%s\", port: \"${PORT}\"}\n",
                       cases[i].in);
        ex_config *c;
        const char *faults;
        if (load_all(file, variables, NULL, 0, &c, &faults))
            fail_msg("%s: %s", cases[i].in, faults);
        if (strcmp(ex_config_string(c, "server.listen"), cases[i].want) != 0)
            fail_msg("%s gave %s", cases[i].in, ex_config_string(c, "server.listen"));
        assert_int_equal(ex_config_int(c, "server.port"), 81);
        ex_config_free(c);
    }
}

/* R-01-35 */
static void test_config_secrets_stay_secret(void **state)
{
    (void)state;
    ex_config_flag flag = {"store.password", "hunter2"};
    ex_config *c;
    const char *faults;
    assert_int_equal(load_all(NULL, NULL, &flag, 1, &c, &faults), EX_EINVAL);
    assert_non_null(strstr(faults, "flag: store.password: a secret is not taken"));
    assert_null(strstr(faults, "hunter2"));
    const char *variables[] = {"EXCORE_STORE_PASSWORD=hunter2", "EXCORE_STORE_PIN=4711", NULL};
    assert_int_equal(load_all(NULL, variables, NULL, 0, &c, NULL), EX_OK);
    assert_string_equal(ex_config_string(c, "store.password"), "hunter2");
    for (int as_json = 0; as_json < 2; as_json++) {
        ex_buf out;
        ex_buf_init(&out, 0);
        ex_config_print(c, as_json, &out);
        ex_buf_put_char(&out, '\0');
        assert_null(strstr(out.ptr, "hunter2"));
        assert_null(strstr(out.ptr, "4711"));
        assert_non_null(strstr(out.ptr, "***"));
        ex_buf_done(&out);
    }
    ex_config_free(c);
    free_faults();
}

static char *print(const ex_config *c, bool as_json);

/* R-01-35: a URL is shown, its password is not; and what is shown is not read back as if it were
 * the value. */
static void test_config_hides_passwords_in_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"postgres://bob:hunter2@h:5/d", "postgres://bob:***@h:5/d"},
        {"postgres://bob:hunter2@x@h/d?schema=s", "postgres://bob:***@h/d?schema=s"},
        {"postgres://bob:a:hunter2/@h/d", "postgres://bob:***@h/d"},
        {"postgres://h/d?user=bob&password=hunter2&schema=s",
         "postgres://h/d?user=bob&password=***&schema=s"},
        {"postgres://bob:hunter2@h/d?sslpassword=hunter2",
         "postgres://bob:***@h/d?sslpassword=***"},
        {"postgres://bob@h:5432/d?x=a:b@c", NULL}, /* none */
        {"./data:a@b", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_config_flag flag = {"server.tls.cert", cases[i].url};
        ex_config *c;
        assert_int_equal(load_all(NULL, NULL, &flag, 1, &c, NULL), EX_OK);
        for (int as_json = 0; as_json < 2; as_json++) {
            char *text = print(c, as_json);
            if (strstr(text, "hunter2") ||
                !strstr(text, cases[i].shown ? cases[i].shown : cases[i].url))
                fail_msg("%s: %s", cases[i].url, text);
            if (!as_json)
                assert_int_equal(strstr(text, "# cert: ") != NULL, cases[i].shown != NULL);
            free(text);
        }
        ex_config_free(c);
    }
}

static char *print(const ex_config *c, bool as_json)
{
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_config_print(c, as_json, &out);
    ex_buf_put_char(&out, '\0');
    assert_int_equal(ex_buf_status(&out), EX_OK);
    return out.ptr;
}

static void test_config_prints_yaml_with_help_and_source(void **state)
{
    (void)state;
    const char *variables[] = {"EXCORE_LIMITS_BODY=64KiB", NULL};
    ex_config_flag flag = {"server.http2", "no"};
    ex_config *c;
    assert_int_equal(load_all("server: {port: 1}\n", variables, &flag, 1, &c, NULL), EX_OK);
    char *text = print(c, false);
    char want[2048];
    (void)snprintf(want, sizeof(want),
                   "server:\n"
                   "  # Where to listen.\n"
                   "  # default\n"
                   "  listen: \"127.0.0.1:8080\"\n"
                   "  # Port.\n"
                   "  # Second line.\n"
                   "  # file %s:1; default 8080\n"
                   "  port: 1\n"
                   "  # Idle.\n"
                   "  # default\n"
                   "  idle_timeout: 60s\n"
                   "  tls:\n"
                   "    # Certificate.\n"
                   "    # default\n"
                   "    cert: \"\"\n"
                   "  # HTTP/2.\n"
                   "  # flag; default true\n"
                   "  http2: false\n"
                   "log:\n"
                   "  # Level.\n"
                   "  # default; one of debug|info|warn|error\n"
                   "  level: \"info\"\n"
                   "limits:\n"
                   "  # Body.\n"
                   "  # environment EXCORE_LIMITS_BODY; default 1MiB\n"
                   "  body: 64KiB\n"
                   "  # Unbounded.\n"
                   "  # default\n"
                   "  offset: 7\n"
                   "store:\n"
                   "  # Secret.\n"
                   "  # default\n"
                   "  # password: \"\"\n"
                   "  # Secret number.\n"
                   "  # default\n"
                   "  # pin: ***\n",
                   path);
    assert_string_equal(text, want);
    free(text);
    ex_config_free(c);
}

static void test_config_printed_yaml_loads_again(void **state)
{
    (void)state;
    static const char *const listens[] = {
        "plain",
        "",
        "null",
        "a: b # c",
        "\"'\\ \t\n\r\x01",
        "${HOST} $${X} $$",
        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
        "- x",
        "*a",
        "\x7f\xc2\x85\xc2\x9b\xe2\x80\xa8 \xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbf end",
    };
    for (size_t i = 0; i < sizeof(listens) / sizeof(listens[0]); i++) {
        ex_config_flag flags[] = {{"server.listen", listens[i]}, {"server.idle_timeout", "1500ms"},
                                  {"server.http2", "OFF"},       {"limits.body", "3MiB"},
                                  {"limits.offset", "-5"},       {"log.level", "warn"}};
        ex_config *c, *again;
        const char *faults;
        assert_int_equal(load_all(NULL, NULL, flags, 6, &c, NULL), EX_OK);
        char *text = print(c, false);
        if (load_all(text, NULL, NULL, 0, &again, &faults))
            fail_msg("row %zu: %s in:\n%s", i, faults, text);
        assert_string_equal(ex_config_string(again, "server.listen"), listens[i]);
        assert_int_equal(ex_config_ms(again, "server.idle_timeout"), 1500);
        assert_false(ex_config_bool(again, "server.http2"));
        assert_int_equal(ex_config_bytes(again, "limits.body"), 3 << 20);
        assert_int_equal(ex_config_int(again, "limits.offset"), -5);
        assert_string_equal(ex_config_string(again, "log.level"), "warn");
        free(text);
        ex_config_free(c);
        ex_config_free(again);
    }
}

static void test_config_prints_json(void **state)
{
    (void)state;
    const char *variables[] = {"EXCORE_LIMITS_BODY=64KiB", NULL};
    ex_config *c;
    assert_int_equal(load_all("server:\n  port: 1\n", variables, NULL, 0, &c, NULL), EX_OK);
    char *text = print(c, true);
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(o);
    assert_int_equal(json_object_size(o), KEYS);
    json_t *port = json_object_get(o, "server.port"), *body = json_object_get(o, "limits.body");
    char origin[160];
    (void)snprintf(origin, sizeof(origin), "%s:2", path);
    assert_int_equal(json_integer_value(json_object_get(port, "value")), 1);
    assert_string_equal(json_string_value(json_object_get(port, "source")), "file");
    assert_string_equal(json_string_value(json_object_get(port, "origin")), origin);
    assert_int_equal(json_integer_value(json_object_get(body, "value")), 65536);
    assert_string_equal(json_string_value(json_object_get(body, "origin")), "EXCORE_LIMITS_BODY");
    json_t *idle = json_object_get(o, "server.idle_timeout");
    assert_string_equal(json_string_value(json_object_get(idle, "value")), "60s");
    assert_string_equal(json_string_value(json_object_get(idle, "source")), "default");
    assert_true(json_is_true(json_object_get(json_object_get(o, "server.http2"), "value")));
    json_decref(o);
    free(text);
    ex_config_free(c);
}

static void test_config_stops_listing_faults_at_a_bound(void **state)
{
    (void)state;
    ex_buf file;
    ex_buf_init(&file, 0);
    for (int i = 0; i < 5000; i++)
        ex_buf_printf(&file, "wrong_key_number_%d: 1\n", i);
    ex_buf_put_char(&file, '\0');
    ex_config *c;
    const char *faults;
    assert_int_equal(load_all(file.ptr, NULL, NULL, 0, &c, &faults), EX_EINVAL);
    size_t lines = 0;
    for (const char *p = faults; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 101);
    assert_non_null(strstr(faults, "\ntoo many faults: the rest is not listed\n"));
    ex_buf_done(&file);
    free_faults();
}

static ex_status load_and_print(void *ctx)
{
    (void)ctx;
    static char *const variables[] = {NULL};
    ex_config_flag flag = {"server.http2", "no"};
    ex_config_sources s = {.file = path, .environ = variables, .flags = &flag, .flag_count = 1};
    ex_config *c = NULL;
    ex_status status = ex_config_load(keys, KEYS, &s, &c, NULL, NULL);
    if (status)
        return status;
    ex_buf out;
    ex_buf_init(&out, 0);
    ex_config_print(c, false, &out);
    ex_config_print(c, true, &out);
    status = ex_buf_status(&out);
    ex_buf_done(&out);
    ex_config_free(c);
    return status;
}

static void test_config_survives_each_failing_allocation(void **state)
{
    (void)state;
    write_file(EX_S("server: {port: 1, listen: \"${X:y}\"}\n"));
    assert_true(alloc_fault_torture("config", load_and_print, NULL) > 5);
}

static void test_config_faults_are_single_visible_lines(void **state)
{
    (void)state;
    const char *variables[] = {"EXCORE_A\nB\xff=1", NULL};
    ex_config_flag flag = {"a\nb", "1"};
    ex_config *c;
    const char *faults;
    assert_int_equal(load_all(NULL, variables, &flag, 1, &c, &faults), EX_EINVAL);
    assert_string_equal(faults, "EXCORE_A?B?: unknown variable\nflag: a?b: unknown key\n");
    free_faults();
}

static int release_faults(void **state)
{
    ex_config *c;
    (void)load_all(NULL, NULL, NULL, 0, &c, NULL);
    ex_config_free(c);
    return tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_defaults),
        cmocka_unit_test(test_config_flag_beats_environment_beats_file),
        cmocka_unit_test(test_config_alias_is_weaker_than_the_own_variable),
        cmocka_unit_test(test_config_explicit_zero_is_not_unset),
        cmocka_unit_test(test_config_other_prefixes_and_ignored_variables),
        cmocka_unit_test(test_config_reads_each_type),
        cmocka_unit_test(test_config_reports_all_faults_at_once),
        cmocka_unit_test(test_config_yaml_faults),
        cmocka_unit_test(test_config_syntax_errors_name_the_line),
        cmocka_unit_test(test_config_files_that_are_fine),
        cmocka_unit_test(test_config_files_that_cannot_be_read),
        cmocka_unit_test(test_config_expands_variables),
        cmocka_unit_test(test_config_secrets_stay_secret),
        cmocka_unit_test(test_config_hides_passwords_in_urls),
        cmocka_unit_test(test_config_prints_yaml_with_help_and_source),
        cmocka_unit_test(test_config_printed_yaml_loads_again),
        cmocka_unit_test(test_config_prints_json),
        cmocka_unit_test(test_config_stops_listing_faults_at_a_bound),
        cmocka_unit_test(test_config_faults_are_single_visible_lines),
        cmocka_unit_test(test_config_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, set_up, release_faults);
}
