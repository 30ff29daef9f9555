/* openapi.h: the HTTP surface and the loaded application as an OpenAPI 3.1 document.
 *
 * Paths come from the server's own route table, so a route cannot be missing;
 * commands and queries are written out from the application's descriptors, with
 * their JSON Schemas under components. */
#ifndef EXCORE_MODEL_OPENAPI_H
#define EXCORE_MODEL_OPENAPI_H

#include "api/http/http.h"

#include <excore/app.h>

typedef struct openapi_source {
    const http_route *routes;
    size_t route_count;
    const ex_app *app;   /* NULL: none */
    const char *version; /* of the program */
} openapi_source;

/** Append the document. Check ex_buf_status(out). Types of equal name are taken to be the same. */
void openapi_write(const openapi_source *source, ex_buf *out);

#endif
