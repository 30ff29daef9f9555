/* features.c: see features.h. */
#include "store/features.h"

#include <stdio.h>

/* What this build knows, of whatever class. */
static const char *const known[] = {STORE_FEATURE_EPOCHS, STORE_FEATURE_LOG_VIEWS,
                                    STORE_FEATURE_SEEN_TIME};

static bool is_known(ex_slice name)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (ex_slice_is(name, known[i]))
            return true;
    return false;
}

/* Names come from a file that may be anybody's: what does not belong into a line is left out. */
static void add_name(char list[STORE_FEATURES_SIZE], ex_slice name)
{
    static const char more[] = "...";
    size_t at = strlen(list);
    if (at + 2 + name.len + sizeof(more) > STORE_FEATURES_SIZE) {
        if (at < sizeof(more) || strcmp(list + at - strlen(more), more) != 0)
            memcpy(list + at, more, sizeof(more));
        return;
    }
    if (at) {
        list[at++] = ',';
        list[at++] = ' ';
    }
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        list[at++] = c > 0x20 && c < 0x7f && c != ',' ? (char)c : '?';
    }
    list[at] = '\0';
}

void store_features_add(store_features *f, ex_slice name, ex_slice class_name)
{
    add_name(f->all, name);
    if (is_known(name) || ex_slice_is(class_name, "compatible"))
        return;
    bool is_readable = ex_slice_is(class_name, "read-only compatible");
    add_name(is_readable ? f->unwritable : f->unreadable, name);
}

bool store_features_has(const store_features *f, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = f->all; (at = strstr(at, name)) != NULL; at += len)
        if ((at == f->all || at[-1] == ' ') && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

void store_features_miss(store_features *f, const store_addition *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!store_features_has(f, list[i].name))
            add_name(f->missing, ex_str(list[i].name));
}

ex_status store_features_check(const store_features *f, bool to_write, const char *what,
                               ex_error *err)
{
    if (f->unreadable[0])
        return ex_raise(err, EX_EFORMAT,
                        "%s uses what this version of excore does not know (%.200s): a newer one "
                        "is needed",
                        what, f->unreadable);
    if (to_write && f->unwritable[0])
        return ex_raise(err, EX_EFORMAT,
                        "%s uses what this version of excore does not know (%.200s): it may read "
                        "it, only a newer one may write it",
                        what, f->unwritable);
    return EX_OK;
}
