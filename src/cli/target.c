/* target.c: which place the options name. */
#include "cli/target.h"

#include "app/settings.h"

#include <stdlib.h>

#define DEFAULT_DATA "./data"

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

ex_status target_check(const args *a, ex_error *err)
{
    if (args_has(a, "data") && args_has(a, "url"))
        return ex_raise(err, EX_EINVAL, "--data and --url exclude each other");
    return EX_OK;
}

const char *target_url(const args *a)
{
    if (args_has(a, "data"))
        return NULL;
    return args_text(a, "url", from_environment(SETTINGS_ENV_URL));
}

const char *target_data(const args *a, bool *ret_is_given)
{
    const char *data = args_text(a, "data", from_environment(SETTINGS_ENV_DATA));
    *ret_is_given = data != NULL;
    return data ? data : DEFAULT_DATA;
}

ex_status target_open(const args *a, target_use use, target *ret, ex_error *err)
{
    const char *url = target_url(a);
    if (url)
        return target_remote_open(url, ret, err);
    bool is_given = false;
    const char *data = target_data(a, &is_given);
    ex_status status = target_local_open(data, use, use == TARGET_WRITE && is_given, ret, err);
    if (status == EX_ENOTFOUND && !is_given)
        return ex_raise(err, EX_ENOTFOUND,
                        "no store in %s; say where the events are with --data PLACE or --url URL",
                        data);
    return status;
}

ex_status target_reach(const args *a, target *t, ex_error *err)
{
    uint64_t min_position = args_number(a, "min-position", 0);
    bool is_current = args_has(a, "current");
    return min_position || is_current ? t->ops->reach(t->impl, min_position, is_current, err)
                                      : EX_OK;
}

void target_close(target *t)
{
    if (t->ops)
        t->ops->close(t->impl);
    *t = (target){0};
}
