/* version.h: the version of nghttp2, for those who may not include its header. */
#ifndef EXCORE_API_HTTP_VERSION_H
#define EXCORE_API_HTTP_VERSION_H

/** "1.52.0", static. */
const char *http_nghttp2_version(void);

#endif
