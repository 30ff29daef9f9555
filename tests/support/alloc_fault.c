/* alloc_fault.c: the linker's --wrap targets and the loop that fails each allocation in turn. */
#include "support/alloc_fault.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

static atomic_bool is_armed;
static atomic_bool stays_broken;
static _Atomic uint64_t left; /* allocations until the failing one */
static _Atomic uint64_t failures;

static bool must_fail(void)
{
    if (!atomic_load(&is_armed))
        return false;
    uint64_t before = atomic_load(&left);
    while (before > 0 && !atomic_compare_exchange_weak(&left, &before, before - 1))
        ;
    bool fails = before == 1 || (before == 0 && atomic_load(&stays_broken));
    if (fails)
        atomic_fetch_add(&failures, 1);
    return fails;
}

void alloc_fault_arm(uint64_t nth, bool is_sticky)
{
    atomic_store(&left, nth);
    atomic_store(&stays_broken, is_sticky);
    atomic_store(&failures, 0);
    atomic_store(&is_armed, true);
}

uint64_t alloc_fault_disarm(void)
{
    atomic_store(&is_armed, false);
    return atomic_load(&failures);
}

/* ---- The linker sends the calls here ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}

/* ---- SQLite has its own door ---- */

static sqlite3_mem_methods sqlite_methods;

static void *sqlite_malloc(int size)
{
    return must_fail() ? NULL : sqlite_methods.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return must_fail() ? NULL : sqlite_methods.xRealloc(old, size);
}

void alloc_fault_cover_sqlite(void)
{
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_methods), SQLITE_OK);
    sqlite3_mem_methods methods = sqlite_methods;
    methods.xMalloc = sqlite_malloc;
    methods.xRealloc = sqlite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
}

/* ---- Each in turn ---- */

static bool run_with_fault(const char *name, ex_status (*body)(void *ctx), void *ctx, uint64_t nth,
                           bool is_sticky)
{
    alloc_fault_arm(nth, is_sticky);
    ex_status st = body(ctx);
    bool has_failed = alloc_fault_disarm() > 0;
    if (st != (has_failed ? EX_ENOMEM : EX_OK))
        fail_msg("%s: allocation %llu: status %s", name, (unsigned long long)nth,
                 ex_status_code(st));
    return has_failed;
}

uint64_t alloc_fault_torture(const char *name, ex_status (*body)(void *ctx), void *ctx)
{
    uint64_t nth = 1;
    while (run_with_fault(name, body, ctx, nth, false)) {
        assert_true(run_with_fault(name, body, ctx, nth, true));
        nth++;
    }
    return nth - 1;
}
