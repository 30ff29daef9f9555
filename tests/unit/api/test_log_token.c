/* test_log_token.c: the text that every answer has is made once for each epoch, and is the present
 * one. issue 8, item 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/log_token.h"
#include "store/store_internal.h"
#include "support/temp_dir.h"

static void open_epoch(ex_store *s)
{
    ex_log_epoch epoch;
    ex_id log = ex_store_log_id(s);
    assert_int_equal(log_epoch_make(ex_store_head(s) + 1, EX_EPOCH_UNCLEAN, &epoch, NULL), EX_OK);
    assert_int_equal(log_identity_reserve(&s->identity, 1, NULL), EX_OK);
    log_identity_append(&s->identity, &log, &epoch, 1);
}

static void check_text(log_token_cache *cache, ex_store *s, ex_slice *ret)
{
    char text[LOG_TOKEN_TEXT_SIZE];
    log_token now = log_token_of(s);
    *ret = log_token_cached(cache, s);
    assert_true(ret->len > 0 && ex_slice_eq(*ret, log_token_text(&now, text)));
}

static void test_log_token_cached_follows_the_epochs(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make_fast();
    ex_store *s = NULL;
    log_token_cache cache = {NULL};
    ex_slice first, again, next;
    assert_int_equal(ex_store_open(dir.path, NULL, &s, NULL), EX_OK);
    check_text(&cache, s, &first);
    check_text(&cache, s, &again);
    assert_ptr_equal(first.ptr, again.ptr);
    for (int i = 0; i < 3; i++) {
        open_epoch(s);
        check_text(&cache, s, &next);
        assert_false(ex_slice_eq(first, next)); /* which those who have it may still read */
    }
    ex_store_close(s);
    log_token_cache_done(&cache);
    log_token_cache_done(&cache); /* a zeroed one */
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log_token_cached_follows_the_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
