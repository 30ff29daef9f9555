/* temp_dir.c: mkdtemp, and nftw to take it all away again. */
#include "support/temp_dir.h"

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static temp_dir make_below(const char *base)
{
    temp_dir dir;
    snprintf(dir.path, sizeof dir.path, "%s/excore-test-XXXXXX", base);
    if (mkdtemp(dir.path) == NULL) {
        perror("mkdtemp");
        abort();
    }
    return dir;
}

temp_dir temp_dir_make(void)
{
    const char *base = getenv("TMPDIR");
    bool is_usable = base != NULL && strlen(base) < TEMP_DIR_SIZE - 24;
    return make_below(is_usable ? base : "/tmp");
}

temp_dir temp_dir_make_fast(void)
{
    return access("/dev/shm", W_OK | X_OK) == 0 ? make_below("/dev/shm") : temp_dir_make();
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
