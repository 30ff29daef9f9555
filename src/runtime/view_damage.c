/* view_damage.c: see view_damage.h. */
#include "runtime/view_damage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "sql/sql.h"

#define NOTE "views.db.is-damaged"

static bool path_of(const char *dir, const char *name, char ret[PATH_MAX])
{
    if (!dir || ex_sql_is_server(dir))
        return false;
    int n = snprintf(ret, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX;
}

void view_damage_note(const char *dir, ex_status st)
{
    char path[PATH_MAX];
    if (st != EX_ECORRUPT || !path_of(dir, NOTE, path))
        return;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd >= 0) /* without the note the damage shows again after the next start */
        (void)close(fd);
}

bool view_damage_is_noted(const char *dir)
{
    char path[PATH_MAX];
    return path_of(dir, NOTE, path) && access(path, F_OK) == 0;
}

ex_status view_damage_set_aside(const char *dir, ex_error *err)
{
    static const char *const names[][2] = {
        {"views.db", VIEW_DAMAGE_ASIDE},
        {"views.db-wal", VIEW_DAMAGE_ASIDE "-wal"},
        {"views.db-shm", VIEW_DAMAGE_ASIDE "-shm"},
    };
    char from[PATH_MAX], to[PATH_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!path_of(dir, names[i][0], from) || !path_of(dir, names[i][1], to))
            return ex_raise(err, EX_EFILESYSTEM, "the path of the views is too long");
        (void)unlink(to); /* of an earlier time: a WAL of that would not fit this one */
        if (rename(from, to) != 0 && errno != ENOENT)
            return ex_raise(err, EX_EFILESYSTEM, "'%s' is damaged and cannot be set aside: %s",
                            from, strerror(errno));
    }
    if (path_of(dir, NOTE, from))
        (void)unlink(from); /* mostly there is none */
    return EX_OK;
}
