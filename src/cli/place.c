/* place.c: see place.h. */
#include "cli/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void set_text(char out[PLACE_TEXT_SIZE], const char *from, size_t len)
{
    (void)snprintf(out, PLACE_TEXT_SIZE, "%.*s", (int)len, from);
}

/* proc(5): "36 35 98:0 /root /mount options shared:1 - type device superoptions". */
static bool take_line(const char *line, const char *number, char *type, char *device)
{
    const char *at = line;
    for (int field = 0; field < 2; field++)
        at += strcspn(at, " ") + 1;
    size_t len = strlen(number);
    const char *dash = strstr(at, " - ");
    if (strncmp(at, number, len) != 0 || at[len] != ' ' || !dash)
        return false;
    at = dash + 3;
    set_text(type, at, strcspn(at, " "));
    at += strcspn(at, " ");
    at += *at == ' ';
    set_text(device, at, strcspn(at, " \n"));
    return true;
}

void place_describe(const char *path, char type[PLACE_TEXT_SIZE], char device[PLACE_TEXT_SIZE])
{
    struct stat st;
    char number[32], *line = NULL;
    size_t room = 0;
    set_text(type, "unknown", 7);
    set_text(device, "unknown", 7);
    FILE *mounts = stat(path, &st) == 0 ? fopen("/proc/self/mountinfo", "re") : NULL;
    if (!mounts)
        return;
    (void)snprintf(number, sizeof(number), "%u:%u", major(st.st_dev), minor(st.st_dev));
    while (getline(&line, &room, mounts) > 0)
        if (take_line(line, number, type, device))
            break;
    free(line);
    fclose(mounts);
}

ex_status place_make_temporary(char ret[PLACE_TEXT_SIZE], ex_error *err)
{
    char name[] = "excore-bench-XXXXXX";
    if (!mkdtemp(name))
        return ex_raise(err, EX_EFILESYSTEM, "cannot make a directory here: %s", strerror(errno));
    set_text(ret, name, sizeof(name));
    return EX_OK;
}

void place_remove(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            (void)unlinkat(dirfd(dir), e->d_name, 0); /* rmdir tells */
    closedir(dir);
    if (rmdir(path) != 0)
        fprintf(stderr, "%s could not be removed: %s\n", path, strerror(errno));
}
