/* temp_dir.h: a directory for one test. */
#ifndef EXCORE_TESTS_TEMP_DIR_H
#define EXCORE_TESTS_TEMP_DIR_H

#define TEMP_DIR_SIZE 64

typedef struct temp_dir {
    char path[TEMP_DIR_SIZE];
} temp_dir;

/** Make one below $TMPDIR or /tmp; ends the program when that fails. */
temp_dir temp_dir_make(void);
/** The same in memory where the system has such a place: for many short lives of a store whose
 *  fsyncs nobody needs. */
temp_dir temp_dir_make_fast(void);
/** Remove it with all that is in it. */
void temp_dir_remove(const temp_dir *dir);

#endif
