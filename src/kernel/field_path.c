/* field_path.c: see field_path.h. */
#include "kernel/field_path.h"

#include <inttypes.h>
#include <stdio.h>

void ex_field_prefix(ex_error *err, ex_slice name)
{
    if (!err)
        return;
    char path[EX_ERROR_FIELD_SIZE * 2];
    const char *dot = err->field[0] == '\0' || err->field[0] == '[' ? "" : ".";
    int n = snprintf(path, sizeof(path), "%.*s%s%s", EX_ARG(name), dot, err->field);
    size_t len = n < 0 ? 0 : (size_t)n;
    ex_error_set_field(err, ex_slice_of(path, len < sizeof(path) ? len : sizeof(path) - 1));
}

void ex_field_prefix_at(ex_error *err, const char *name, uint32_t index)
{
    char text[48];
    int n = snprintf(text, sizeof(text), "%s[%" PRIu32 "]", name, index);
    ex_field_prefix(err, ex_slice_of(text, (size_t)n));
}
