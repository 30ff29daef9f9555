/* place.h: directories as the bench needs them: what they lie on, and ones that go again. */
#ifndef EXCORE_CLI_PLACE_H
#define EXCORE_CLI_PLACE_H

#include <excore/error.h>

#define PLACE_TEXT_SIZE 256

/** File system type and device of a path, as the kernel names them; "unknown" where it does not. */
void place_describe(const char *path, char type[PLACE_TEXT_SIZE], char device[PLACE_TEXT_SIZE]);

/** Make a new directory below the working directory; `ret` gets its path.
 *  @return EX_OK, EX_EFILESYSTEM */
EX_NODISCARD ex_status place_make_temporary(char ret[PLACE_TEXT_SIZE], ex_error *err);
/** Remove it and the files in it. */
void place_remove(const char *path);

#endif
