/* fresh_store.h: an empty store on the PostgreSQL server whose URL is in the environment's
 * EXCORE_POSTGRES. */
#ifndef EXCORE_BENCH_FRESH_STORE_H
#define EXCORE_BENCH_FRESH_STORE_H

#define BENCH_URL_SIZE 1024

/** The URL of schema bench_NAME; what it and its views held is gone. Exits when no server is named. */
const char *bench_fresh_store(const char *name, char out[BENCH_URL_SIZE]);

#endif
