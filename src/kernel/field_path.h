/* field_path.h: the path of a faulty field, put together from the inside outwards. */
#ifndef EXCORE_KERNEL_FIELD_PATH_H
#define EXCORE_KERNEL_FIELD_PATH_H

#include <excore/error.h>

/** Put `name` before the error's field: "x" before "" or "[1]" joins directly, before "y" with a dot.
 *  NULL-safe. */
void ex_field_prefix(ex_error *err, ex_slice name);
/** The same with "name[index]". */
void ex_field_prefix_at(ex_error *err, const char *name, uint32_t index);

#endif
