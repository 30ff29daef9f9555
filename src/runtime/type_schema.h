/* type_schema.h: JSON Schema in parts, for documents that keep the nested types elsewhere. */
#ifndef EXCORE_RUNTIME_TYPE_SCHEMA_H
#define EXCORE_RUNTIME_TYPE_SCHEMA_H

#include <excore/type.h>

#define EX_TYPE_SET_MAX 256

/** Types by name, in the order of their discovery. */
typedef struct ex_type_set {
    const ex_type *types[EX_TYPE_SET_MAX];
    uint32_t count;
} ex_type_set;

/** Add the type and all that it holds; types beyond the maximum are left out. */
void ex_type_collect(const ex_type *type, ex_type_set *set);
/** Append the schema object of one type; nested ones become {"$ref": prefix + name}. */
void ex_type_write_schema_object(const ex_type *type, const char *ref_prefix, ex_json_writer *w);

#endif
