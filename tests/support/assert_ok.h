/* assert_ok.h: a call that must return EX_OK; the test's failure says what its error said. */
#ifndef EXCORE_TESTS_SUPPORT_ASSERT_OK_H
#define EXCORE_TESTS_SUPPORT_ASSERT_OK_H

#include <excore/error.h>

/** The call passes `&err`, an ex_error of the test. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        err.message[0] = '\0';                                                                     \
        ex_status assert_ok_st = (call);                                                           \
        if (assert_ok_st)                                                                          \
            fail_msg("%s: %s", ex_status_code(assert_ok_st), err.message);                         \
    } while (0)

#endif
