/* version.c: version and commit come from the build (src/CMakeLists.txt). */
#include "app/version.h"

#include "api/http/version.h"
#include "io/version.h"
#include "sql/version.h"

#include <stdio.h>
#include <yaml.h>

#ifndef EXCORE_VERSION
#define EXCORE_VERSION "0.0.0"
#endif
#ifndef EXCORE_COMMIT
#define EXCORE_COMMIT "unknown"
#endif

const char *app_version(void)
{
    return EXCORE_VERSION;
}

const char *app_commit(void)
{
    return EXCORE_COMMIT;
}

void app_libraries(app_library ret[APP_LIBRARIES])
{
    const struct {
        const char *name, *version;
    } found[APP_LIBRARIES] = {
        {"sqlite", sql_sqlite_version()},
        {"libuv", io_libuv_version()},
        {"nghttp2", http_nghttp2_version()},
        {"libyaml", yaml_get_version_string()},
    };
    for (size_t i = 0; i < APP_LIBRARIES; i++) {
        ret[i].name = found[i].name;
        (void)snprintf(ret[i].version, sizeof(ret[i].version), "%s", found[i].version);
    }
}
