/* error.c: raising errors and adding context to them; no allocation. */
#include <excore/error.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

/* Cut `text` of `len` bytes back to a whole UTF-8 character. */
static size_t whole_characters(const char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return len;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t need = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    return len - (start - 1) >= need ? len : start - 1;
}

static void copy_text(char *out, size_t size, ex_slice text)
{
    size_t n = text.len < size - 1 ? text.len : whole_characters(text.ptr, size - 1);
    if (n)
        memcpy(out, text.ptr, n);
    out[n] = '\0';
}

static void format_message(ex_error *err, size_t at, const char *fmt, va_list args) EX_PRINTF(3, 0);

static void format_message(ex_error *err, size_t at, const char *fmt, va_list args)
{
    size_t room = sizeof(err->message) - at;
    int n = vsnprintf(err->message + at, room, fmt, args);
    if (n >= 0 && (size_t)n >= room)
        err->message[whole_characters(err->message, sizeof(err->message) - 1)] = '\0';
}

ex_status ex_error_raise(ex_error *err, const char *file, int line, ex_status status,
                         const char *fmt, ...)
{
    assert(status != EX_OK);
    if (!err)
        return status;
    memset(err, 0, offsetof(ex_error, code));
    err->code[0] = err->field[0] = err->event_id[0] = '\0';
    err->status = status;
    err->file = file;
    err->line = line;
    copy_text(err->code, sizeof(err->code), ex_str(ex_status_code(status)));
    va_list args;
    va_start(args, fmt);
    format_message(err, 0, fmt, args);
    va_end(args);
    return status;
}

ex_status ex_error_context(ex_error *err, ex_status status, const char *fmt, ...)
{
    if (!err)
        return status;
    char old[EX_ERROR_MESSAGE_SIZE];
    memcpy(old, err->message, sizeof(old));
    va_list args;
    va_start(args, fmt);
    format_message(err, 0, fmt, args);
    va_end(args);
    size_t at = strlen(err->message);
    if (at + 3 < sizeof(err->message)) {
        memcpy(err->message + at, ": ", 2);
        copy_text(err->message + at + 2, sizeof(err->message) - at - 2, ex_str(old));
    }
    return err->status ? err->status : status;
}

void ex_error_set_code(ex_error *err, const char *code)
{
    if (err)
        copy_text(err->code, sizeof(err->code), ex_str(code));
}

void ex_error_set_field(ex_error *err, ex_slice field)
{
    if (err)
        copy_text(err->field, sizeof(err->field), field);
}
