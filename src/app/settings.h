/* settings.h: the table of all configuration keys, and the typed options made from them.
 *
 * A key is listed once, in settings.c: name, type, default, range, help and the
 * field that it fills. Sources in order: flags, EXCORE_ environment, file, default. */
#ifndef EXCORE_APP_SETTINGS_H
#define EXCORE_APP_SETTINGS_H

#include "api/rest/api.h"
#include "kernel/config.h"
#include "kernel/log.h"

#include <excore/runtime.h>
#include <excore/store.h>

/** Variables that belong to the client verbs and are no configuration keys. */
#define SETTINGS_ENV_URL    "EXCORE_URL"
#define SETTINGS_ENV_DATA   "EXCORE_STORE_DATA"
#define SETTINGS_ENV_CONFIG "EXCORE_CONFIG"

typedef enum settings_env { ENV_DEVELOPMENT, ENV_STAGING, ENV_PRODUCTION, ENV_TEST } settings_env;

typedef struct settings {
    ex_config *config; /* owns the texts */
    const char *data;
    const char *app; /* "": none */
    settings_env env;
    uint32_t lease_ms;
    uint32_t head_age_limit_ms;
    uint64_t shutdown_timeout_ms;
    http_options http;
    ex_store_options store;
    ex_runtime_options runtime;
    api_options api;
    ex_log_options log;
} settings;

/** Load and check. Pointers to live objects (metrics, clock, store) are left NULL.
 *  @param file NULL: none
 *  @param ret_faults initialised by the caller; one line for each fault when the result is
 * EX_EINVAL
 *  @return EX_OK, EX_EINVAL (ret_faults), EX_ENOMEM */
EX_NODISCARD ex_status settings_load(const char *file, const ex_config_flag *flags,
                                     size_t flag_count, settings *ret, ex_buf *ret_faults,
                                     ex_error *err);
/** NULL and a zeroed one are accepted. */
void settings_done(settings *s);

/** All keys, for tests and documentation. */
const ex_config_key *settings_keys(size_t *ret_count);

/** Split HOST:PORT, [V6]:PORT, :PORT (every address) or PORT into `host` and `port` texts.
 *  @return EX_OK, EX_EINVAL */
EX_NODISCARD ex_status settings_split_listen(const char *listen, char *host, size_t host_size,
                                             char *port, size_t port_size, ex_error *err);

#endif
