/* store_place.h: where a test's store lies: a directory, or a schema in the build folder's
 * PostgreSQL. */
#ifndef EXCORE_TESTS_STORE_PLACE_H
#define EXCORE_TESTS_STORE_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "support/temp_dir.h"

typedef struct store_place {
    temp_dir dir;    /* "" on a server */
    char text[1100]; /* for ex_store_open and ex_runtime_options.dir */
} store_place;

/** Call it first in main: with "postgres" as the program's argument all places are schemas. */
void store_place_use(int argc, char **argv);
bool store_place_is_server(void);
/** A new one; ends the program when that fails. */
store_place store_place_make(void);
void store_place_remove(const store_place *p);
/** Delete the views, as an operator may while nothing runs. */
void store_place_drop_views(const store_place *p);
/** The first number that a SELECT over the views' tables gives. */
int64_t store_place_views_number(const store_place *p, const char *sql);

#endif
