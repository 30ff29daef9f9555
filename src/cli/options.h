/* options.h: the flags that stand for configuration keys, shared by `serve` and `config`. */
#ifndef EXCORE_CLI_OPTIONS_H
#define EXCORE_CLI_OPTIONS_H

#include "app/settings.h"
#include "cli/cli.h"

/* clang-format off */
#define SETTINGS_OPTIONS                                                                           \
    {'d', "data", ARG_TEXT, "PLACE",                                                           \
     "a directory, made when missing, or a postgres:// URL [./data]", NULL},                       \
    {'l', "listen", ARG_TEXT, "HOST:PORT", "address; port 0 picks one [127.0.0.1:8080]", NULL},    \
    {'a', "app", ARG_TEXT, "FILE", "application to load, a shared object", NULL},                  \
    {'c', "config", ARG_TEXT, "FILE", "configuration, YAML [EXCORE_CONFIG]", NULL},                \
    {0, "durability", ARG_CHOICE, "MODE",                                                          \
     "full: acknowledge after fsync; normal: after the write [full]", "full|normal"},              \
    {0, "log-level", ARG_CHOICE, "LEVEL", "debug, info, warn, error or off [info]",                \
     "debug|info|warn|error|off"},                                                                 \
    {'s', "set", ARG_LIST, "KEY=VALUE", "any key of the configuration; may be repeated", NULL}
/* clang-format on */

/** Load the settings that the flags, the environment and the file give. Faults are printed, all of
 *  them. @return CLI_OK, CLI_MISUSE, CLI_CONFIG, CLI_FAILURE */
int options_load(const cli *c, const args *a, settings *ret);

#endif
