/* version.h: the version of libuv, for those who may not include uv.h. */
#ifndef EXCORE_IO_VERSION_H
#define EXCORE_IO_VERSION_H

/** "1.44.2", static. */
const char *io_libuv_version(void);

#endif
