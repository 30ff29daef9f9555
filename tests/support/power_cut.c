/* power_cut.c: synced images of files and the changes since. */
#include "support/power_cut.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/fault_vfs.h"

#define PAGE_BYTES   4096
#define FILES_MAX    8
#define SECTOR_BYTES 512

typedef struct image {
    char *bytes;
    size_t size;
    size_t capacity;
} image;

typedef struct change {
    char *bytes; /* NULL: a truncation to `at` */
    size_t size;
    uint64_t at;
} change;

typedef struct watched_file {
    char name[64]; /* without its directory; "" when the slot is free */
    image synced;
    change *changes;
    size_t count;
    size_t capacity;
} watched_file;

static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static watched_file files[FILES_MAX]; /* guarded by mu */
static void (*change_hook)(void *ctx);
static void *change_ctx;

static void *need(void *p)
{
    if (p == NULL) {
        fprintf(stderr, "power_cut: out of memory\n");
        abort();
    }
    return p;
}

/* ---- Images ---- */

static void image_resize(image *i, size_t size)
{
    if (size > i->capacity) {
        i->capacity = size * 2;
        i->bytes = need(realloc(i->bytes, i->capacity));
    }
    if (size > i->size)
        memset(i->bytes + i->size, 0, size - i->size);
    i->size = size;
}

static void image_apply(image *i, const change *c, size_t size)
{
    if (c->bytes == NULL) {
        image_resize(i, (size_t)c->at);
        return;
    }
    if (c->at + size > i->size)
        image_resize(i, (size_t)c->at + size);
    memcpy(i->bytes + c->at, c->bytes, size);
}

/* ---- Watching ---- */

static watched_file *find(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    watched_file *room = NULL;
    for (int i = 0; i < FILES_MAX; i++) {
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
        if (files[i].name[0] == '\0' && room == NULL)
            room = &files[i];
    }
    need(room);
    snprintf(room->name, sizeof room->name, "%s", name);
    return room;
}

static void drop_changes(watched_file *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->changes[i].bytes);
    f->count = 0;
}

static void forget(watched_file *f)
{
    drop_changes(f);
    free(f->changes);
    free(f->synced.bytes);
    memset(f, 0, sizeof *f);
}

static void add_change(const char *path, change c)
{
    pthread_mutex_lock(&mu);
    watched_file *f = find(path);
    if (f->count == f->capacity) {
        f->capacity = f->capacity != 0 ? f->capacity * 2 : 64;
        f->changes = need(realloc(f->changes, f->capacity * sizeof *f->changes));
    }
    f->changes[f->count++] = c;
    pthread_mutex_unlock(&mu);
    change_hook(change_ctx);
}

/* Of one call, too, each page reaches the disk or does not, in whatever order. */
static void on_write(const char *path, const void *bytes, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        size_t size = n - done < PAGE_BYTES ? n - done : PAGE_BYTES;
        change c = {.bytes = need(malloc(size)), .size = size, .at = at + done};
        memcpy(c.bytes, (const char *)bytes + done, size);
        add_change(path, c);
        done += size;
    }
}

static void on_truncate(const char *path, uint64_t size)
{
    add_change(path, (change){.at = size});
}

static void on_sync(const char *path)
{
    pthread_mutex_lock(&mu);
    watched_file *f = find(path);
    for (size_t i = 0; i < f->count; i++)
        image_apply(&f->synced, &f->changes[i], f->changes[i].size);
    drop_changes(f);
    pthread_mutex_unlock(&mu);
    change_hook(change_ctx);
}

static void on_delete(const char *path)
{
    pthread_mutex_lock(&mu);
    forget(find(path));
    pthread_mutex_unlock(&mu);
    change_hook(change_ctx);
}

void power_cut_start(void (*on_change)(void *ctx), void *ctx)
{
    static const fault_observer observer = {on_write, on_truncate, on_sync, on_delete};
    change_hook = on_change;
    change_ctx = ctx;
    fault_vfs_observe(&observer);
}

void power_cut_stop(void)
{
    fault_vfs_observe(NULL);
    for (int i = 0; i < FILES_MAX; i++)
        forget(&files[i]);
}

/* ---- The cut ---- */

static uint32_t below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33) % n;
}

/* How much of a change the disk took: all, nothing, or some sectors of it. */
static size_t survive(const change *c, uint64_t *random, bool *ret_any)
{
    uint32_t fate = below(random, 8);
    *ret_any = fate != 0 && fate != 1;
    if (fate == 2 && c->size > SECTOR_BYTES)
        return SECTOR_BYTES * below(random, (uint32_t)(c->size / SECTOR_BYTES) + 1);
    return c->size;
}

static void write_file(const char *dir, const char *name, const image *i)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *out = need(fopen(path, "wb"));
    if ((i->size != 0 && fwrite(i->bytes, i->size, 1, out) != 1) || fclose(out) != 0)
        abort();
}

static void cut_file(const watched_file *f, const char *dir, uint64_t *random)
{
    image after = {0};
    image_resize(&after, f->synced.size);
    if (after.size != 0)
        memcpy(after.bytes, f->synced.bytes, after.size);
    for (size_t i = 0; i < f->count; i++) {
        bool any;
        size_t size = survive(&f->changes[i], random, &any);
        if (any)
            image_apply(&after, &f->changes[i], size);
    }
    write_file(dir, f->name, &after);
    free(after.bytes);
}

void power_cut_take(const char *dir, uint64_t *random)
{
    pthread_mutex_lock(&mu);
    for (int i = 0; i < FILES_MAX; i++) {
        if (files[i].name[0] != '\0')
            cut_file(&files[i], dir, random);
    }
    pthread_mutex_unlock(&mu);
}
