/* log_copy_known.c: a sorted array of digests; see log_copy_known.h. */
#include "store/log_copy_known.h"

#include <stdlib.h>

#include <openssl/evp.h>

#include "store/import.h"

#define READ_AT_ONCE 1000
#define FIRST_ROOM   1024

typedef struct loading {
    known_commands *known;
    uint64_t last;
} loading;

void known_commands_done(known_commands *k)
{
    free(k->items);
    *k = (known_commands){0};
}

static ex_status digest_of(ex_slice command_id, known_command *ret, ex_error *err)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(command_id.ptr, command_id.len, digest, NULL, EVP_sha256(), NULL))
        return ex_raise(err, EX_EINTERNAL, "libcrypto fails to hash");
    memcpy(ret->digest, digest, sizeof(ret->digest));
    return EX_OK;
}

static ex_status add(void *ctx, uint64_t number, const ex_command_record *record, ex_error *err)
{
    loading *l = ctx;
    known_commands *k = l->known;
    if (k->count == k->room) {
        size_t room = k->room ? 2 * k->room : FIRST_ROOM;
        known_command *items = realloc(k->items, room * sizeof(*items));
        if (!items)
            return ex_raise(err, EX_ENOMEM, "no memory for the command ids of the target");
        k->items = items;
        k->room = room;
    }
    ex_status st = digest_of(record->command_id, &k->items[k->count], err);
    k->count += st == EX_OK;
    l->last = number;
    return st;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(known_command));
}

ex_status known_commands_load(known_commands *k, ex_store *store, ex_error *err)
{
    loading l = {k, 0};
    uint64_t before;
    ex_status st;
    k->count = 0;
    do {
        before = l.last;
        st = ex_store_read_commands(store, before, READ_AT_ONCE, add, &l, err);
    } while (st == EX_OK && l.last != before);
    if (st == EX_OK && k->count)
        qsort(k->items, k->count, sizeof(*k->items), compare);
    return st;
}

ex_status known_commands_has(const known_commands *k, ex_slice command_id, bool *ret, ex_error *err)
{
    known_command key;
    *ret = false;
    if (k->count == 0)
        return EX_OK;
    ex_status st = digest_of(command_id, &key, err);
    if (st == EX_OK)
        *ret = bsearch(&key, k->items, k->count, sizeof(key), compare) != NULL;
    return st;
}
