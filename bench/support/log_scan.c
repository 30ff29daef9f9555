/* log_scan.c: one cursor over the whole log. */
#include "support/log_scan.h"

#include <excore/store.h>

#include "support/report.h"

double log_scan_run(const char *place)
{
    ex_store *store = NULL;
    ex_cursor *cursor = NULL;
    ex_error err;
    ex_event event;
    ex_status st;
    bench_require(ex_store_open(place, NULL, &store, &err), &err);
    volatile uint64_t sum = 0; /* keeps the reads */
    uint64_t count = 0;
    double start = bench_seconds();
    bench_require(ex_store_read_log(store, &(ex_read_log){0}, &cursor, &err), &err);
    while ((st = ex_cursor_next(cursor, &event, &err)) == EX_OK) {
        sum = sum + event.data.len + (unsigned char)event.stream.ptr[0];
        count++;
    }
    double took = bench_seconds() - start;
    bench_require(st == EX_EEND ? EX_OK : st, &err);
    ex_cursor_close(cursor);
    ex_store_close(store);
    return (double)count / took;
}
