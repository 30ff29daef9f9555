/* openapi_text.h: the parts of the document that do not depend on the application. Private to
 * model/. */
#ifndef EXCORE_MODEL_OPENAPI_TEXT_H
#define EXCORE_MODEL_OPENAPI_TEXT_H

#include "api/http/http.h"

/* JSON with ' for ", which these texts do not otherwise use: they are there to be read. */

/** The operation object of a platform route, NULL when the table has none. */
const char *openapi_operation(http_method method, const char *pattern);
/** Members of components.schemas, of components.responses and of components.parameters. */
extern const char openapi_schemas[];
extern const char openapi_responses[];
extern const char openapi_parameters[];

#endif
