/* version.h: which ExCore this is, and what it runs on. */
#ifndef EXCORE_APP_VERSION_H
#define EXCORE_APP_VERSION_H

#include <excore/buf.h>

/** "0.1.0". */
const char *app_version(void);
/** The commit it was built from, "unknown" outside a repository. */
const char *app_commit(void);

typedef struct app_library {
    const char *name;
    char version[32];
} app_library;

#define APP_LIBRARIES 4

/** The libraries in use, as they name their own versions at run time. Thread: any. */
void app_libraries(app_library ret[APP_LIBRARIES]);

#endif
