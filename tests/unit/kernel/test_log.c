/* test_log.c: levels, the JSON and the readable form, cutting, outputs, reopening, threads,
 * allocations.
 *
 * Lines go to real files and pipes; JSON is read back with jansson. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/log.h"

/* ---- Counting allocations of this thread ---- */

static _Thread_local size_t allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER_HOOKS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(HAS_SANITIZER_HOOKS)
int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void *, size_t),
                                              void (*)(const volatile void *));
static void count_malloc(const volatile void *p, size_t n)
{
    (void)p;
    (void)n;
    allocations++;
}
static void ignore_free(const volatile void *p)
{
    (void)p;
}
static void watch_allocations(void)
{
    (void)__sanitizer_install_malloc_and_free_hooks(count_malloc, ignore_free);
}
#else
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}
void *calloc(size_t count, size_t n)
{
    allocations++;
    return __libc_calloc(count, n);
}
void *realloc(void *p, size_t n)
{
    allocations++;
    return __libc_realloc(p, n);
}
static void watch_allocations(void) {}
#endif

/* ---- Files ---- */

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    watch_allocations();
    memcpy(folder, "/tmp/excore-log-XXXXXX", 23);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[96];
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void open_log(const char *file, ex_log_level level, ex_log_format format)
{
    (void)unlink(path_of(file));
    ex_log_options o = {
        .level = level, .format = format, .output = path_of(file), .service_name = "test \"svc\""};
    assert_int_equal(ex_log_open(&o, NULL), EX_OK);
}

/* Everything in a file, NUL-terminated; the caller frees it. */
static char *slurp(const char *file)
{
    FILE *f = fopen(path_of(file), "r");
    assert_non_null(f);
    char *text = NULL;
    size_t size = 0;
    ssize_t n = getdelim(&text, &size, '\0', f);
    (void)fclose(f);
    if (n < 0 && text)
        text[0] = '\0';
    assert_non_null(text);
    return text;
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* The only line of a file as JSON. */
static json_t *read_object(const char *file)
{
    char *text = slurp(file);
    assert_int_equal(count_lines(text), 1);
    json_error_t error;
    json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!o)
        fail_msg("%s in: %s", error.text, text);
    free(text);
    return o;
}

static const char *text_at(json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s)
        fail_msg("no text at %s", key);
    return s;
}

/* ---- Tests ---- */

/* R-01-37 */
static void test_log_level_names(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_known;
        ex_log_level want;
    } cases[] = {
        {"debug", true, EX_LOG_DEBUG},   {"info", true, EX_LOG_INFO}, {"warn", true, EX_LOG_WARN},
        {"error", true, EX_LOG_ERROR},   {"off", true, EX_LOG_OFF},   {"INFO", false, EX_LOG_INFO},
        {"verbose", false, EX_LOG_INFO}, {"", false, EX_LOG_INFO},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_log_level level = EX_LOG_OFF;
        if (ex_log_level_parse(ex_str(cases[i].text), &level) != cases[i].is_known ||
            level != cases[i].want)
            fail_msg("\"%s\"", cases[i].text);
    }
}

/* R-01-36 */
static void test_log_json_line_has_the_fixed_keys_in_order(void **state)
{
    (void)state;
    open_log("json", EX_LOG_INFO, EX_LOG_AUTO); /* no terminal: JSON */
    EX_LOG(EX_LOG_INFO, "hello", ex_f_cstr("request_id", "r1"), ex_f_i64("low", INT64_MIN),
           ex_f_u64("high", UINT64_MAX), ex_f_double("ratio", 0.1), ex_f_double("huge", INFINITY),
           ex_f_bool("yes", true), ex_f_str("none", (ex_slice){NULL, 0}));
    char *text = slurp("json");
    const char *order[] = {"{\"timestamp\":\"", "\"level\":\"info\"", "\"message\":\"hello\"",
                           "\"service_name\":\"test \\\"svc\\\"\"", "\"request_id\":\"r1\""};
    const char *at = text;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        const char *next = strstr(at, order[i]);
        if (!next)
            fail_msg("%s is missing or out of order in %s", order[i], text);
        at = next;
    }
    assert_non_null(strstr(text, "\"low\":-9223372036854775808,\"high\":18446744073709551615,"
                                 "\"ratio\":0.1,\"huge\":null,\"yes\":true,\"none\":\"\"}\n"));
    const char *time = text + strlen(order[0]);
    assert_int_equal(time[10], 'T');
    assert_int_equal(time[19], '.');
    assert_memory_equal(time + 23, "Z\"", 2);
    free(text);
    ex_log_close();
}

static void test_log_escapes_what_could_break_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ex_slice in;
        const char *want;
    } cases[] = {
        {"newline", EX_S_INIT("a\nb\r\tc"), "a\nb\r\tc"},
        {"quotes", EX_S_INIT("a\"b\\c"), "a\"b\\c"},
        {"escape sequence", EX_S_INIT("a\x1b[31m\x7f"), "a\x1b[31m\x7f"},
        {"C1 control",
         EX_S_INIT("a\xc2\x9b"
                   "b"),
         "a\xc2\x9b"
         "b"},
        {"wide characters", EX_S_INIT("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"bad bytes", EX_S_INIT("a\xff\xe2\x82z"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"},
        {"surrogate", EX_S_INIT("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"overlong", EX_S_INIT("\xc0\xaf"), "\xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_log("escape", EX_LOG_INFO, EX_LOG_JSON);
        EX_LOG(EX_LOG_INFO, "m", ex_f_str("v", cases[i].in));
        char *text = slurp("escape");
        for (const char *p = text; p[0] && p[1]; p++) {
            if ((unsigned char)*p < 0x20 || *p == 0x7f)
                fail_msg("%s: a control character is in the line", cases[i].name);
        }
        assert_null(strstr(text, "\xc2\x9b"));
        free(text);
        json_t *o = read_object("escape");
        if (strcmp(text_at(o, "v"), cases[i].want) != 0)
            fail_msg("%s: got %s", cases[i].name, text_at(o, "v"));
        json_decref(o);
    }
    ex_log_close();
}

static void test_log_cuts_long_lines_validly_and_says_so(void **state)
{
    (void)state;
    static char filler[3 * EX_LOG_LINE_SIZE];
    /* every length around the border, so that each piece of a line is the one that does not fit */
    static const char *const units[] = {"x", "\xe2\x82\xac", "\n", "\x01", "\xff"};
    for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
        size_t unit = strlen(units[u]);
        for (size_t n = 0; n + unit <= sizeof(filler); n += unit)
            memcpy(filler + n, units[u], unit);
        size_t step = u == 0 ? 1 : 7;
        for (size_t n = 3600 / (unit * 2); n * unit < 4200; n += step) {
            open_log("cut", EX_LOG_INFO, EX_LOG_JSON);
            ex_slice value = ex_slice_of(filler, n * unit);
            EX_LOG(EX_LOG_INFO, "m", ex_f_u64("before", 7), ex_f_str("v", value),
                   ex_f_u64("number", 123456), ex_f_cstr("t", ""), ex_f_bool("last", true));
            char *text = slurp("cut");
            assert_true(strlen(text) <= EX_LOG_LINE_SIZE);
            free(text);
            json_t *o = read_object("cut");
            assert_int_equal(json_integer_value(json_object_get(o, "before")), 7);
            bool is_marked = json_is_true(json_object_get(o, "truncated"));
            bool is_whole = json_is_true(json_object_get(o, "last"));
            if (is_marked == is_whole)
                fail_msg("unit %zu, %zu of them: marked %d, whole %d", u, n, is_marked, is_whole);
            json_decref(o);
        }
    }
    ex_log_close();
}

static void test_log_keeps_the_service_behind_a_long_message(void **state)
{
    (void)state;
    static char message[2 * EX_LOG_LINE_SIZE];
    memset(message, 'm', sizeof(message) - 1);
    open_log("long", EX_LOG_INFO, EX_LOG_JSON);
    EX_LOG(EX_LOG_INFO, message, ex_f_cstr("late", "x"));
    json_t *o = read_object("long");
    assert_string_equal(text_at(o, "service_name"), "test \"svc\"");
    assert_true(json_is_true(json_object_get(o, "truncated")));
    assert_true(strlen(text_at(o, "message")) > 3000);
    json_decref(o);
    open_log("long", EX_LOG_INFO, EX_LOG_PRETTY);
    EX_LOG(EX_LOG_INFO, message, ex_f_cstr("late", "x"));
    char *text = slurp("long");
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, " truncated=true\n"));
    free(text);
    ex_log_close();
}

/* R-01-46 */
static void test_log_pretty_line(void **state)
{
    (void)state;
    open_log("pretty", EX_LOG_INFO, EX_LOG_PRETTY);
    EX_LOG(EX_LOG_WARN, "it \"slows\"\n", ex_f_cstr("error", "no disk"),
           ex_f_cstr("trace_id", "0123456789abcdef"), ex_f_cstr("path", "/a"),
           ex_f_cstr("text", "a b\x1b[0m"), ex_f_u64("n", 3));
    char *text = slurp("pretty");
    const char *head = "WARN  it \"slows\"\\n [trace=01234567] time=20";
    assert_memory_equal(text, head, strlen(head));
    const char *tail = "Z path=/a text=\"a b\\u001b[0m\" n=3 error=\"no disk\"\n";
    assert_true(strlen(text) > strlen(tail));
    assert_string_equal(text + strlen(text) - strlen(tail), tail);
    assert_null(strchr(text, '\x1b')); /* a file is no terminal: no colours */
    free(text);
    ex_log_close();
}

/* R-01-46: colours on a terminal, and auto means readable there. */
static void test_log_colours_on_a_terminal(void **state)
{
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master))
        skip();
    const char *name = ptsname(master);
    int slave = open(name, O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    static const struct {
        ex_log_level level;
        const char *want, *no_colour;
    } cases[] = {
        {EX_LOG_DEBUG, "\x1b[36mDEBUG\x1b[0m hi", NULL},
        {EX_LOG_INFO, "\x1b[32mINFO \x1b[0m hi", NULL},
        {EX_LOG_WARN, "\x1b[33mWARN \x1b[0m hi", NULL},
        {EX_LOG_ERROR, "\x1b[31mERROR\x1b[0m hi", NULL},
        {EX_LOG_INFO, "INFO  hi", "1"},
    };
    setenv("TERM", "xterm", 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsetenv("NO_COLOR");
        if (cases[i].no_colour)
            setenv("NO_COLOR", cases[i].no_colour, 1);
        ex_log_options o = {.level = EX_LOG_DEBUG, .output = name};
        assert_int_equal(ex_log_open(&o, NULL), EX_OK);
        ex_log_write(cases[i].level, "hi", NULL, 0);
        char text[512];
        ssize_t n = read(master, text, sizeof(text) - 1);
        assert_true(n > 0);
        text[n] = '\0';
        if (strncmp(text, cases[i].want, strlen(cases[i].want)) != 0)
            fail_msg("row %zu: got %s", i, text);
    }
    unsetenv("NO_COLOR");
    ex_log_close();
    close(slave);
    close(master);
}

/* R-01-37, R-01-38 */
static void test_log_level_decides_and_changes_while_running(void **state)
{
    (void)state;
    open_log("level", EX_LOG_WARN, EX_LOG_JSON);
    assert_false(ex_log_is_enabled(EX_LOG_INFO));
    assert_true(ex_log_is_enabled(EX_LOG_WARN));
    EX_LOG(EX_LOG_INFO, "hidden");
    ex_log_write(EX_LOG_INFO, "hidden", NULL, 0);
    ex_log_set_level(EX_LOG_DEBUG);
    EX_LOG(EX_LOG_DEBUG, "shown");
    ex_log_set_level(EX_LOG_OFF);
    EX_LOG(EX_LOG_ERROR, "hidden");
    char *text = slurp("level");
    assert_int_equal(count_lines(text), 1);
    assert_non_null(strstr(text, "shown"));
    free(text);
    ex_log_close();
    EX_LOG(EX_LOG_ERROR, "nowhere to go");
    ex_log_set_level(EX_LOG_INFO);
    EX_LOG(EX_LOG_ERROR, "closed, so this goes nowhere either");
    ex_log_close();
}

/* R-01-37: an unknown name means info plus one warning. */
static void test_log_unknown_level_is_info_and_one_warning(void **state)
{
    (void)state;
    (void)unlink(path_of("unknown"));
    ex_log_options o = {.level = EX_LOG_ERROR, .output = path_of("unknown"), .level_name = "loud"};
    assert_int_equal(ex_log_open(&o, NULL), EX_OK);
    assert_true(ex_log_is_enabled(EX_LOG_INFO));
    assert_false(ex_log_is_enabled(EX_LOG_DEBUG));
    json_t *line = read_object("unknown");
    assert_string_equal(text_at(line, "level"), "warn");
    assert_string_equal(text_at(line, "given"), "loud");
    json_decref(line);
    ex_log_close();
}

/* R-01-39: a file is reopened after it was moved away; a failure keeps the old one. */
static void test_log_reopens_a_moved_file(void **state)
{
    (void)state;
    open_log("moved", EX_LOG_INFO, EX_LOG_JSON);
    EX_LOG(EX_LOG_INFO, "one");
    char old[128];
    (void)snprintf(old, sizeof(old), "%s", path_of("moved.1"));
    assert_int_equal(rename(path_of("moved"), old), 0);
    EX_LOG(EX_LOG_INFO, "two"); /* still the moved file */
    assert_int_equal(ex_log_reopen(NULL), EX_OK);
    EX_LOG(EX_LOG_INFO, "three");
    struct stat st;
    assert_int_equal(stat(path_of("moved"), &st), 0);
    assert_int_equal(st.st_mode & 07, 0); /* not for others */
    char *first = slurp("moved.1"), *second = slurp("moved");
    assert_int_equal(count_lines(first), 2);
    assert_int_equal(count_lines(second), 1);
    assert_non_null(strstr(second, "three"));
    free(first);
    free(second);

    assert_int_equal(unlink(path_of("moved")), 0);
    assert_int_equal(mkdir(path_of("moved"), 0700), 0);
    ex_error err;
    assert_int_equal(ex_log_reopen(&err), EX_EFILESYSTEM);
    EX_LOG(EX_LOG_INFO, "does not crash");
    assert_int_equal(rmdir(path_of("moved")), 0);
    ex_log_close();
    assert_int_equal(ex_log_reopen(NULL), EX_OK); /* nothing open: nothing to do */
}

/* G-201 (issue 8, item 3) */
static void test_log_reopens_its_file_after_a_chdir(void **state)
{
    (void)state;
    char back[4096];
    assert_non_null(getcwd(back, sizeof(back)));
    assert_int_equal(chdir(folder), 0);
    const ex_log_options o = {.level = EX_LOG_INFO, .format = EX_LOG_JSON, .output = "relative"};
    assert_int_equal(ex_log_open(&o, NULL), EX_OK);
    assert_int_equal(rename("relative", "relative.1"), 0);
    assert_int_equal(chdir(back), 0);
    assert_int_equal(ex_log_reopen(NULL), EX_OK);
    EX_LOG(EX_LOG_INFO, "three");
    ex_log_close();
    char *text = slurp("relative");
    assert_int_equal(count_lines(text), 1);
    free(text);
}

static void test_log_refuses_bad_options(void **state)
{
    (void)state;
    char long_name[65];
    memset(long_name, 's', 64);
    long_name[64] = '\0';
    const struct {
        const char *name;
        ex_log_options o;
        ex_status want;
    } cases[] = {
        {"empty output", {.output = ""}, EX_EINVAL},
        {"no such folder", {.output = "/no/such/folder/log"}, EX_EFILESYSTEM},
        {"a folder", {.output = folder}, EX_EFILESYSTEM},
        {"long service", {.service_name = long_name}, EX_EINVAL},
        {"wrong format", {.format = (ex_log_format)9}, EX_EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err;
        if (ex_log_open(&cases[i].o, &err) != cases[i].want)
            fail_msg("%s", cases[i].name);
    }
}

/* Swap a descriptor for a new file; returns a duplicate of the old one. */
static int redirect(int fd, const char *file)
{
    int kept = dup(fd);
    int to = open(path_of(file), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(kept >= 0 && to >= 0);
    assert_int_equal(dup2(to, fd), fd);
    close(to);
    return kept;
}

static void restore(int fd, int kept)
{
    assert_int_equal(dup2(kept, fd), fd);
    close(kept);
}

/* R-01-39 */
static void test_log_sends_errors_to_stderr_when_the_output_is_stdout(void **state)
{
    (void)state;
    (void)fflush(stdout);
    int out = redirect(STDOUT_FILENO, "out"), err = redirect(STDERR_FILENO, "err");
    ex_log_options o = {.level = EX_LOG_INFO, .output = "stdout"};
    ex_status status = ex_log_open(&o, NULL);
    EX_LOG(EX_LOG_WARN, "to out");
    EX_LOG(EX_LOG_ERROR, "to err");
    ex_log_close();
    restore(STDOUT_FILENO, out);
    restore(STDERR_FILENO, err);
    assert_int_equal(status, EX_OK);
    json_t *a = read_object("out"), *b = read_object("err");
    assert_string_equal(text_at(a, "message"), "to out");
    assert_string_equal(text_at(b, "message"), "to err");
    assert_string_equal(text_at(b, "service_name"), "excore");
    json_decref(a);
    json_decref(b);
}

/* R-01-43 */
static void test_log_error_has_code_message_and_place(void **state)
{
    (void)state;
    ex_error e;
    (void)ex_raise(&e, EX_EINUSE, "store \"%s\" is in use", "x");
    open_log("error", EX_LOG_INFO, EX_LOG_JSON);
    errno = ERANGE;
    ex_log_error(EX_LOG_ERROR, "cannot open", &e);
    assert_int_equal(errno, ERANGE);
    json_t *o = read_object("error");
    assert_string_equal(text_at(o, "code"), "STORE_IN_USE");
    assert_string_equal(text_at(o, "error"), "store \"x\" is in use");
    assert_null(json_object_get(o, "raised_at"));
    json_decref(o);
    open_log("error", EX_LOG_DEBUG, EX_LOG_JSON);
    ex_log_error(EX_LOG_ERROR, "cannot open", &e);
    o = read_object("error");
    assert_non_null(strstr(text_at(o, "raised_at"), "test_log.c:"));
    json_decref(o);
    ex_log_close();
}

static void test_log_counts_lines_it_could_not_write(void **state)
{
    (void)state;
    ex_log_options o = {.level = EX_LOG_INFO, .output = "/dev/full"};
    if (ex_log_open(&o, NULL))
        skip();
    uint64_t before = ex_log_lost();
    EX_LOG(EX_LOG_INFO, "the disk is full");
    assert_int_equal(ex_log_lost(), before + 1);
    ex_log_close();
}

enum { WRITERS = 8, LINES = 500 };

static void *write_many(void *arg)
{
    char text[3000];
    memset(text, 'a' + (int)(intptr_t)arg, sizeof(text));
    for (int i = 0; i < LINES; i++)
        EX_LOG(EX_LOG_INFO, "m", ex_f_i64("writer", (intptr_t)arg), ex_f_i64("i", i),
               ex_f_str("text", ex_slice_of(text, 10 + (size_t)i * 5)));
    return NULL;
}

static void *reopen_many(void *arg)
{
    const atomic_bool *stop = arg;
    while (!atomic_load(stop)) {
        if (ex_log_reopen(NULL))
            return (void *)1;
        ex_log_set_level(EX_LOG_INFO);
    }
    return NULL;
}

static void test_log_lines_of_threads_never_mix(void **state)
{
    (void)state;
    open_log("threads", EX_LOG_INFO, EX_LOG_JSON);
    pthread_t writers[WRITERS], reopener;
    atomic_bool stop = false;
    assert_int_equal(pthread_create(&reopener, NULL, reopen_many, &stop), 0);
    for (intptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_many, (void *)i), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&stop, true);
    void *failed;
    pthread_join(reopener, &failed);
    assert_null(failed);
    ex_log_close();

    char *text = slurp("threads");
    assert_int_equal(count_lines(text), WRITERS * LINES);
    int seen[WRITERS] = {0};
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n")) {
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        size_t writer = (size_t)json_integer_value(json_object_get(o, "writer"));
        assert_true(writer < WRITERS);
        /* a thread's own lines are in order */
        assert_int_equal(json_integer_value(json_object_get(o, "i")), seen[writer]++);
        json_decref(o);
    }
    free(text);
}

/* Lines to a pipe whose reader is slow come whole as well. */
static void *drain_pipe(void *arg)
{
    int fd = *(int *)arg;
    size_t lines = 0, depth = 0;
    char chunk[777];
    for (ssize_t n; (n = read(fd, chunk, sizeof(chunk))) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (chunk[i] == '{' && depth++)
                return (void *)-1; /* a line began inside another */
            if (chunk[i] == '}')
                depth--;
            lines += chunk[i] == '\n';
        }
    }
    return (void *)(intptr_t)lines;
}

static void test_log_lines_in_a_pipe_never_mix(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pthread_t reader, writers[WRITERS];
    assert_int_equal(pthread_create(&reader, NULL, drain_pipe, &ends[0]), 0);
    char path[64];
    (void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[1]);
    ex_log_options o = {.level = EX_LOG_INFO, .output = path};
    assert_int_equal(ex_log_open(&o, NULL), EX_OK);
    close(ends[1]);
    for (intptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_many, (void *)i), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    ex_log_close();
    void *lines;
    pthread_join(reader, &lines);
    assert_int_equal((intptr_t)lines, WRITERS * LINES);
    close(ends[0]);
}

static void write_full_line(int i)
{
    EX_LOG(EX_LOG_INFO, "request completed", ex_f_cstr("method", "GET"), ex_f_cstr("path", "/v1/x"),
           ex_f_u64("status_code", 200), ex_f_double("duration_ms", 1.25 * i),
           ex_f_cstr("request_id", "0197aaaa-bbbb"), ex_f_bool("is_cached", false),
           ex_f_i64("n", -i), ex_f_cstr("user_agent", "curl/8 \"quoted\""));
}

/* R-01-40 */
static void test_log_allocates_nothing_in_a_million_calls(void **state)
{
    (void)state;
    void *volatile p = malloc(1); /* proof that the counter counts */
    free(p);
    assert_true(allocations > 0);
    ex_log_options o = {.level = EX_LOG_INFO, .output = "/dev/null"};
    assert_int_equal(ex_log_open(&o, NULL), EX_OK);
    write_full_line(0); /* warm-up */
    size_t before = allocations;
    for (int i = 0; i < 500000; i++) {
        write_full_line(i);
        EX_LOG(EX_LOG_DEBUG, "below the level", ex_f_i64("n", i));
    }
    assert_int_equal(allocations, before);
    ex_log_close();
}

/* R-01-40: below the level the fields are not even computed. */
static void test_log_below_the_level_evaluates_nothing(void **state)
{
    (void)state;
    open_log("lazy", EX_LOG_WARN, EX_LOG_JSON);
    int calls = 0;
    EX_LOG(EX_LOG_INFO, "no", ex_f_i64("n", ++calls));
    assert_int_equal(calls, 0);
    EX_LOG(EX_LOG_WARN, "yes", ex_f_i64("n", ++calls));
    assert_int_equal(calls, 1);
    ex_log_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_level_names),
        cmocka_unit_test(test_log_json_line_has_the_fixed_keys_in_order),
        cmocka_unit_test(test_log_escapes_what_could_break_a_line),
        cmocka_unit_test(test_log_cuts_long_lines_validly_and_says_so),
        cmocka_unit_test(test_log_keeps_the_service_behind_a_long_message),
        cmocka_unit_test(test_log_pretty_line),
        cmocka_unit_test(test_log_colours_on_a_terminal),
        cmocka_unit_test(test_log_level_decides_and_changes_while_running),
        cmocka_unit_test(test_log_unknown_level_is_info_and_one_warning),
        cmocka_unit_test(test_log_reopens_a_moved_file),
        cmocka_unit_test(test_log_reopens_its_file_after_a_chdir),
        cmocka_unit_test(test_log_refuses_bad_options),
        cmocka_unit_test(test_log_sends_errors_to_stderr_when_the_output_is_stdout),
        cmocka_unit_test(test_log_error_has_code_message_and_place),
        cmocka_unit_test(test_log_counts_lines_it_could_not_write),
        cmocka_unit_test(test_log_lines_of_threads_never_mix),
        cmocka_unit_test(test_log_lines_in_a_pipe_never_mix),
        cmocka_unit_test(test_log_allocates_nothing_in_a_million_calls),
        cmocka_unit_test(test_log_below_the_level_evaluates_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
