/* last_resort.h: the process ends in time, whatever keeps a part of it from stopping. */
#ifndef EXCORE_APP_LAST_RESORT_H
#define EXCORE_APP_LAST_RESORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct last_resort {
    uint64_t limit_ms;
    pthread_t thread;
    bool is_running;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_over; /* everything has stopped */
} last_resort;

/** Unless last_resort_stop comes within limit_ms, say so in the log and end the process with code
 * 1: for the data that is the same as kill -9. Without memory for a thread nothing happens. */
void last_resort_start(last_resort *l, uint64_t limit_ms);
/** Also when it did not start. */
void last_resort_stop(last_resort *l);

#endif
