/* content_type.h: which data is JSON. What is stored as JSON is checked to be JSON, so that readers
 * may embed it in a document as it is. */
#ifndef EXCORE_STORE_CONTENT_TYPE_H
#define EXCORE_STORE_CONTENT_TYPE_H

#include <excore/base.h>

/** True for application/json, text/json and any type with the suffix +json, parameters aside;
 * either case. Thread: any. */
bool ex_content_is_json(ex_slice content_type);
/** True when both name the same: either case, blanks aside. Thread: any. */
bool ex_content_is_same(ex_slice a, ex_slice b);

#endif
