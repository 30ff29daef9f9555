/* futex.h: sleep on a 32-bit word until somebody changes it. Linux. */
#ifndef EXCORE_STORE_FUTEX_H
#define EXCORE_STORE_FUTEX_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/** Sleep while *word is `value`. May return early: look again. */
static inline void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL,
                  0); /* caller looks again */
}

/** Wake one sleeper. The word may be gone by now: then nobody is woken, or somebody looks in vain.
 */
static inline void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0); /* nothing can be done */
}

#endif
