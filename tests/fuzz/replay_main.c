/* replay_main.c: runs each file of the given folders and each given file once through a fuzz
 * target, so that a corpus is a regression test in builds without libFuzzer. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int replayed;

static void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1); /* exactly as long: a read past the end is caught */
    if (!f || !data || fread(data, 1, size, f) != size)
        die(path);
    fclose(f);
    fprintf(stderr, "%s (%zu bytes)\n", path, size); /* the last line names the file that failed */
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed++;
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        die(path);
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    if (count < 0)
        die(path);
    for (int i = 0; i < count; i++) {
        char child[4096];
        int len = snprintf(child, sizeof(child), "%s/%s", path, names[i]->d_name);
        if (len < 0 || (size_t)len >= sizeof(child)) {
            errno = ENAMETOOLONG;
            die(path);
        }
        if (names[i]->d_name[0] != '.')
            replay(child);
        free(names[i]);
    }
    free(names);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    fprintf(stderr, "%d inputs\n", replayed);
    return replayed > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
