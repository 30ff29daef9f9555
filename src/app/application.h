/* application.h: an application out of a shared object. */
#ifndef EXCORE_APP_APPLICATION_H
#define EXCORE_APP_APPLICATION_H

#include <excore/app.h>
#include <excore/error.h>

typedef struct application {
    void *library;     /* NULL: linked in, or none */
    const ex_app *app; /* NULL: none */
} application;

/** Load FILE and ask its excore_app() for the application. A path without a slash is looked for in
 *  the working directory, not where libraries are installed.
 *  @return EX_OK, EX_ENOTFOUND (no such file), EX_EINVAL (no shared object, no application, another
 * ABI) */
EX_NODISCARD ex_status application_load(const char *path, application *ret, ex_error *err);
/** After the last use of anything of it. A zeroed one is accepted. */
void application_unload(application *a);

#endif
