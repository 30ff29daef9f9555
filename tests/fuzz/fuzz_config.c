/* fuzz_config.c: the configuration file: any bytes give values with sound names, or faults of one
 * line each; every value goes through expansion and through the reader of each type. */
#include "fuzz/fuzz.h"

#include <excore/json.h>

#include "kernel/config_int.h"

static const char *const variables[] = {"HOST=example", "EMPTY=", NULL};

static const ex_config_key types[] = {
    {.name = "a", .type = EX_CONFIG_STRING},
    {.name = "b", .type = EX_CONFIG_BOOL},
    {.name = "c", .type = EX_CONFIG_INT, .min = -5, .max = 70000},
    {.name = "d", .type = EX_CONFIG_BYTES, .min = 1, .max = 1 << 30},
    {.name = "e", .type = EX_CONFIG_DURATION, .max = 86400000},
    {.name = "f", .type = EX_CONFIG_ENUM, .choices = "json|pretty|auto"},
};
#define TYPES (sizeof(types) / sizeof(types[0]))

static void read_as_each_type(ex_slice text)
{
    for (size_t i = 0; i < TYPES; i++) {
        char why[CONFIG_SHOWN_SIZE] = "";
        int64_t n = INT64_MIN;
        if (config_value_parse(&types[i], text, &n, why)) {
            FUZZ_CHECK(types[i].max == 0 || (n >= types[i].min && n <= types[i].max));
            FUZZ_CHECK(ex_utf8_is_valid(text));
        } else {
            FUZZ_CHECK(why[0] && ex_utf8_is_valid(ex_str(why)));
        }
    }
}

static void take_entry(void *ctx, ex_slice key, ex_slice value, size_t line, bool is_null)
{
    size_t *entries = ctx;
    char why[CONFIG_SHOWN_SIZE] = "";
    ++*entries;
    FUZZ_CHECK(key.len > 0 && key.len < CONFIG_NAME_SIZE && line > 0);
    FUZZ_CHECK(!is_null || value.len <= 4);
    (void)config_suggest(types, TYPES, key, NULL);
    ex_buf text;
    ex_buf_init(&text, CONFIG_VALUE_BYTES);
    if (config_expand(value, (char *const *)variables, &text, why))
        read_as_each_type(ex_buf_slice(&text));
    else
        FUZZ_CHECK(why[0]);
    ex_buf_done(&text);
}

static void check_faults(ex_slice faults, size_t count)
{
    size_t lines = 0;
    FUZZ_CHECK(ex_utf8_is_valid(faults));
    for (size_t i = 0; i < faults.len; i++) {
        FUZZ_CHECK((unsigned char)faults.ptr[i] >= 0x20 || faults.ptr[i] == '\n');
        lines += faults.ptr[i] == '\n';
    }
    FUZZ_CHECK(lines == (count > CONFIG_FAULTS_MAX ? CONFIG_FAULTS_MAX + 1 : count));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ex_buf out;
    ex_buf_init(&out, 0);
    config_faults faults = {.out = &out};
    size_t entries = 0;
    FUZZ_CHECK(config_parse_yaml(ex_slice_of(data, size), "fuzz.yaml", &faults, take_entry,
                                 &entries, NULL) == EX_OK);
    check_faults(ex_buf_slice(&out), faults.count);
    ex_buf_done(&out);
    return 0;
}
