/* log_token.c: see log_token.h. */
#include "api/log_token.h"

#include <stdlib.h>

#include "store/store_internal.h"

/* Immutable once it is published. */
typedef struct log_token_text {
    struct log_token_text *older;
    uint64_t generation; /* of the log's identity before the token was read */
    ex_slice slice;
    char text[LOG_TOKEN_TEXT_SIZE];
} cached_text;

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

/* Of two threads that make one at once both keep theirs: there are few generations. */
static const cached_text *publish(log_token_cache *cache, uint64_t generation, ex_store *store)
{
    cached_text *made = malloc(sizeof(*made));
    if (!made)
        return NULL;
    log_token token = log_token_of(store);
    made->generation = generation;
    made->slice = log_token_text(&token, made->text);
    made->older = atomic_load(&cache->newest);
    while (!atomic_compare_exchange_weak(&cache->newest, &made->older, made)) {
    }
    return made;
}

ex_slice log_token_cached(log_token_cache *cache, ex_store *store)
{
    /* first: a token that is newer than its generation is made once more, an older one never kept
     */
    uint64_t generation = log_identity_generation(&store->identity);
    const cached_text *text = atomic_load_explicit(&cache->newest, memory_order_acquire);
    if (!text || text->generation != generation)
        text = publish(cache, generation, store);
    return text ? text->slice : (ex_slice){0};
}

void log_token_cache_done(log_token_cache *cache)
{
    cached_text *text = atomic_exchange(&cache->newest, NULL);
    while (text) {
        cached_text *older = text->older;
        free(text);
        text = older;
    }
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
