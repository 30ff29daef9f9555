/* config_int.h: what the parts of the configuration share. Private to config*.c and its tests. */
#ifndef EXCORE_KERNEL_CONFIG_INT_H
#define EXCORE_KERNEL_CONFIG_INT_H

#include <excore/arena.h>

#include "kernel/config.h"

#define CONFIG_FAULTS_MAX  100
#define CONFIG_FILE_BYTES  ((size_t)1 << 20)
#define CONFIG_VALUE_BYTES ((size_t)64 << 10) /* of one value after expansion */
#define CONFIG_NAME_SIZE   128
#define CONFIG_DEPTH_MAX   8
#define CONFIG_SHOWN_SIZE  160

/* ---- Faults (config_fault.c) ---- */

typedef struct config_faults {
    ex_buf *out; /* nullable: one line each */
    size_t count;
    ex_status status; /* EX_EINVAL, or EX_EFILESYSTEM when the file could not be read */
    char first[512];
} config_faults;

/** Where a value came from: one of file (with line), variable, flag. */
typedef struct config_where {
    const char *file;
    size_t line;
    const char *variable;
    bool is_flag;
} config_where;

void config_fault(config_faults *f, const config_where *w, const char *fmt, ...) EX_PRINTF(3, 4);
/** True when enough faults were found to stop looking. */
bool config_faults_full(const config_faults *f);
/** The value as it may stand in a fault: quoted, cut, *** for a secret. */
const char *config_show(ex_slice value, bool is_secret, char out[CONFIG_SHOWN_SIZE]);
/** The closest known name for a wrong one, or NULL. As variables when `prefix` is not NULL. */
const ex_config_key *config_suggest(const ex_config_key *keys, size_t count, ex_slice wrong,
                                    const char *prefix);
/** PREFIX_SERVER_IDLE_TIMEOUT for server.idle_timeout. */
void config_variable_name(const char *prefix, const char *key, char out[CONFIG_NAME_SIZE + 32]);

/* ---- Values (config_value.c) ---- */

typedef struct config_value {
    const char *text; /* as written, after expansion */
    int64_t number;   /* INT; BOOL 0 or 1; BYTES; DURATION in ms; ENUM: index of the choice */
    ex_config_source source;
    config_where where;
} config_value;

/** Read `text` as the key's type. @return false with a reason in `why` */
bool config_value_parse(const ex_config_key *key, ex_slice text, int64_t *ret_number,
                        char why[CONFIG_SHOWN_SIZE]);
/** Expand ${VAR}, ${VAR:default} and $${. @return false with a reason in `why` */
bool config_expand(ex_slice text, char *const *environ, ex_buf *out, char why[CONFIG_SHOWN_SIZE]);
/** The variable's value or NULL. */
const char *config_getenv(char *const *environ, ex_slice name);

/* ---- The file (config_yaml.c) ---- */

/** Called for each value in the file, in order. `is_null`: the key has no value. */
typedef void config_entry_fn(void *ctx, ex_slice key, ex_slice value, size_t line, bool is_null);

/** Read YAML text and hand over its values with joined names; faults in the text go to `faults`.
 *  @return EX_OK (also with faults), EX_ENOMEM */
EX_NODISCARD ex_status config_parse_yaml(ex_slice text, const char *file, config_faults *faults,
                                         config_entry_fn *fn, void *ctx, ex_error *err);

/* ---- The whole (config.c, config_print.c) ---- */

struct ex_config {
    const ex_config_key *keys;
    size_t count;
    config_value *values;
    ex_arena arena; /* texts and places */
};

#endif
