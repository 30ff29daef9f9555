/* application.c: see application.h. */
#include "app/application.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_BYTES 4096

/* dlerror begins with the path, which the message has already. */
static const char *reason(const char *path)
{
    const char *text = dlerror();
    size_t len = strlen(path);
    if (text && strncmp(text, path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        text += len + 2;
    return text ? text : "unknown reason";
}

static ex_status ask(void *library, const char *path, const ex_app **ret, ex_error *err)
{
    void *symbol = dlsym(library, "excore_app");
    if (!symbol)
        return ex_raise(err, EX_EINVAL,
                        "application %s has no function excore_app (EX_APP defines it)", path);
    const ex_app *(*get)(void) = NULL;
    memcpy(&get, &symbol, sizeof(get)); /* ISO C has no such cast; POSIX promises the copy */
    const ex_app *app = get();
    if (!app)
        return ex_raise(err, EX_EINVAL, "application %s: excore_app gives NULL", path);
    if (app->abi != EX_APP_ABI)
        return ex_raise(err, EX_EINVAL,
                        "application %s is built for version %u of the interface, this is %u; "
                        "build it again",
                        path, (unsigned)app->abi, (unsigned)EX_APP_ABI);
    *ret = app;
    return EX_OK;
}

ex_status application_load(const char *path, application *ret, ex_error *err)
{
    char full[PATH_BYTES];
    int len = snprintf(full, sizeof(full), "%s%s", strchr(path, '/') ? "" : "./", path);
    if (len < 0 || (size_t)len >= sizeof(full))
        return ex_raise(err, EX_EINVAL, "the path of the application is too long");
    if (access(full, F_OK) != 0)
        return ex_raise(err, EX_ENOTFOUND, "application %s: no such file", path);
    application a = {.library = dlopen(full, RTLD_NOW | RTLD_LOCAL)};
    if (!a.library)
        return ex_raise(err, EX_EINVAL, "application %s does not load: %s", path, reason(full));
    ex_status status = ask(a.library, path, &a.app, err);
    if (status) {
        application_unload(&a);
        return status;
    }
    *ret = a;
    return EX_OK;
}

void application_unload(application *a)
{
    if (a->library)
        (void)dlclose(a->library); /* nothing is left to do about it */
    *a = (application){0};
}
