/* temp_dir.c: mkdtemp, and nftw to take it all away again. */
#include "support/temp_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

temp_dir temp_dir_make(void)
{
    temp_dir dir;
    const char *base = getenv("TMPDIR");
    if (base == NULL || strlen(base) > TEMP_DIR_SIZE - 24)
        base = "/tmp";
    snprintf(dir.path, sizeof dir.path, "%s/excore-test-XXXXXX", base);
    if (mkdtemp(dir.path) == NULL) {
        perror("mkdtemp");
        abort();
    }
    return dir;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

void temp_dir_remove(const temp_dir *dir)
{
    if (nftw(dir->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) != 0)
        perror(dir->path);
}
