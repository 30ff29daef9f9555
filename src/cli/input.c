/* input.c: see input.h. */
#include "cli/input.h"

#include <errno.h>
#include <stdio.h>

#define CHUNK_BYTES 65536

static ex_status read_all(FILE *file, const char *name, ex_buf *buf, ex_error *err)
{
    size_t n = 0;
    do {
        if (!ex_buf_reserve(buf, CHUNK_BYTES))
            return ex_raise(err, ex_buf_status(buf), "%s is too large", name);
        n = fread(buf->ptr + buf->len, 1, CHUNK_BYTES, file);
        buf->len += n;
    } while (n > 0);
    if (ferror(file))
        return ex_raise(err, EX_EFILESYSTEM, "cannot read %s: %s", name, strerror(errno));
    return EX_OK;
}

ex_status input_read(const char *text, ex_buf *buf, ex_slice *ret, ex_error *err)
{
    ex_status status = EX_OK;
    if (strcmp(text, "-") == 0) {
        status = read_all(stdin, "standard input", buf, err);
    } else if (text[0] == '@') {
        FILE *file = fopen(text + 1, "rbe");
        if (!file)
            return ex_raise(err, EX_EFILESYSTEM, "cannot open %s: %s", text + 1, strerror(errno));
        status = read_all(file, text + 1, buf, err);
        fclose(file);
    } else {
        *ret = ex_str(text);
        return EX_OK;
    }
    if (!status)
        *ret = ex_buf_slice(buf);
    return status;
}
