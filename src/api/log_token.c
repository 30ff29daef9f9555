/* log_token.c: see log_token.h. */
#include "api/log_token.h"

log_token log_token_of(ex_store *store)
{
    return (log_token){ex_store_log_id(store), ex_store_epoch(store).id};
}

ex_slice log_token_text(const log_token *token, char out[LOG_TOKEN_TEXT_SIZE])
{
    out[0] = '\0';
    if (ex_id_is_nil(&token->log))
        return ex_slice_of(out, 0);
    size_t len = ex_id_text(&token->log, out).len;
    out[len++] = '/';
    return ex_slice_of(out, len + ex_id_text(&token->epoch, out + len).len);
}

ex_status log_token_parse(ex_slice text, log_token *ret, ex_error *err)
{
    const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
    size_t len = slash ? (size_t)(slash - text.ptr) : 0;
    log_token token;
    if (!slash || ex_id_parse(ex_slice_of(text.ptr, len), &token.log, NULL) ||
        ex_id_parse(ex_slice_of(slash + 1, text.len - len - 1), &token.epoch, NULL))
        return ex_raise(err, EX_EINVAL,
                        "a log is named by two ids with a slash between, as an answer's "
                        "header " LOG_TOKEN_HEADER " has them");
    *ret = token;
    return EX_OK;
}

ex_status log_token_check(const log_token *token, ex_store *store, uint64_t position, ex_error *err)
{
    ex_id log = ex_store_log_id(store);
    if (ex_id_eq(&token->log, &log))
        return ex_store_check_position(store, &token->epoch, position, err);
    char text[EX_ID_TEXT_SIZE];
    (void)ex_raise(err, EX_ELOGCHANGED, "this is the log %s, another one than the position is of",
                   ex_id_text(&log, text).ptr);
    if (err) {
        err->position = 1;
        err->current = ex_store_head(store);
    }
    return EX_ELOGCHANGED;
}
