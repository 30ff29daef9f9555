/* config.h: one table of keys; values from flags, environment, a YAML file, defaults (in that
 * order).
 *
 * Every key is listed once with type, default, range and help. A load reads
 * all sources and reports all faults at once. Environment name: EXCORE_ and
 * the key in upper case with dots as underscores. ${VAR} and ${VAR:default}
 * are expanded in the file's text values. Secrets print as ***. */
#ifndef EXCORE_KERNEL_CONFIG_H
#define EXCORE_KERNEL_CONFIG_H

#include <excore/buf.h>
#include <excore/error.h>

typedef enum ex_config_type {
    EX_CONFIG_STRING,
    EX_CONFIG_BOOL, /* true/false/yes/no/on/off/1/0 */
    EX_CONFIG_INT,
    EX_CONFIG_BYTES,    /* 1048576, 64KiB, 1MiB, 2GiB */
    EX_CONFIG_DURATION, /* 500ms, 10s, 5m, 2h, 7d; held in milliseconds */
    EX_CONFIG_ENUM      /* one of `choices` */
} ex_config_type;

typedef struct ex_config_key {
    const char *name; /* "server.idle_timeout": [a-z0-9_] and dots, at most 127 bytes */
    ex_config_type type;
    const char *default_text; /* NULL: "" for STRING, "false" for BOOL; the others need one */
    int64_t min, max;    /* INT, BYTES, DURATION (ms): both ends included; both 0: not bounded */
    const char *choices; /* ENUM: "json|pretty|auto" */
    bool is_secret;      /* never from a flag; printed as ***, also in faults */
    const char *help;
    const char *env_alias; /* nullable: a second variable ("LOG_LEVEL"), weaker than EXCORE_…,
                              stronger than the file */
} ex_config_key;

typedef enum ex_config_source {
    EX_CONFIG_DEFAULT,
    EX_CONFIG_FILE,
    EX_CONFIG_ENV,
    EX_CONFIG_FLAG
} ex_config_source;

typedef struct ex_config ex_config;

/** A flag given on the command line for a key. */
typedef struct ex_config_flag {
    const char *key;
    const char *value;
} ex_config_flag;

typedef struct ex_config_sources {
    const char *file;            /* NULL: none */
    const char *env_prefix;      /* ["EXCORE_"]; "" for none, and then no variable is unknown */
    char *const *environ;        /* [the process's] */
    const ex_config_flag *flags; /* the last one of a key counts */
    size_t flag_count;
    const char *const *env_ignored; /* nullable, NULL-terminated: variables with the prefix that are
                                       no keys; a * at the end stands for anything */
    bool keeps_faulty; /* set *ret with EX_EINVAL, too, so that more can be checked: a value that is
                          at fault is then a weaker source's */
} ex_config_sources;

/** Load. On failure *ret_faults (nullable; initialised by the caller) holds one line for each
 * fault: "file.yaml:12: server.port: 70000 is not within 0 to 65535", "EXCORE_SERVER_PORT:
 * server.port: …", "flag: server.port: …"; after 100 faults one line says that there are more.
 * Unknown keys in the file, unknown EXCORE_ variables and unknown flags are faults, with the key
 * that was probably meant. Values are checked in every source, also where a stronger source
 * replaces them.
 *
 *  The file is one YAML (or JSON) mapping of at most 1 MiB. Nested mappings join their names with
 * dots. Lists, anchors, aliases, tags and duplicate keys are faults; so is a key without a value
 * ("" is the empty text). ${VAR} is the variable's value, ${VAR:text} has a default, $${ is a plain
 * ${.
 *  @param keys the table, static: names are unique and no name is a section of another
 *  @return EX_OK, EX_EINVAL, EX_EFILESYSTEM (the file cannot be read), EX_ENOMEM
 *  Thread: any. Blocking: reads the file. */
EX_NODISCARD ex_status ex_config_load(const ex_config_key *keys, size_t key_count,
                                      const ex_config_sources *sources, ex_config **ret,
                                      ex_buf *ret_faults, ex_error *err);
void ex_config_free(ex_config *c);

/* Getters assert that the key exists with that type. Text is NUL-terminated and lives as long as c.
 * An ENUM is read as its text or, by ex_config_int, as the index of its choice. Thread: any. */
const char *ex_config_string(const ex_config *c, const char *key);
bool ex_config_bool(const ex_config *c, const char *key);
int64_t ex_config_int(const ex_config *c, const char *key);
uint64_t ex_config_bytes(const ex_config *c, const char *key);
uint64_t ex_config_ms(const ex_config *c, const char *key);
ex_config_source ex_config_source_of(const ex_config *c, const char *key);

/** Print the effective values. YAML: help, source and default as comments; loads again as a
 * configuration file with the same values (secrets, which are comments, excepted). JSON: one
 * object,
 *  {"server.port":{"value":8080,"source":"file","origin":"excore.yaml:3"}, …}; durations are text.
 *  Secrets are ***, and so are passwords in URLs: safe to paste. Check ex_buf_status(out). */
void ex_config_print(const ex_config *c, bool as_json, ex_buf *out);

#endif
