/* input.h: an argument that may name standard input (-) or a file (@FILE). */
#ifndef EXCORE_CLI_INPUT_H
#define EXCORE_CLI_INPUT_H

#include <excore/buf.h>
#include <excore/error.h>

#define INPUT_LIMIT_BYTES ((size_t)1 << 30)

/** @param buf holds what was read; initialised by the caller, with a limit
 *  @param ret borrowed from `text` or `buf`
 *  @return EX_OK, EX_EFILESYSTEM, EX_ETOOLARGE, EX_ENOMEM. Blocking: reads to the end. */
EX_NODISCARD ex_status input_read(const char *text, ex_buf *buf, ex_slice *ret, ex_error *err);

#endif
