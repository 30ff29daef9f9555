/* recent_words.c: slots and a ring; see recent_words.h.
 *
 * The entries of one slot hang together, from the newest to older ones, so the
 * words of an item are followed backwards and leapfrog: whoever is at a newer
 * event than another one goes on to that one's. A rare word decides in a few
 * steps, however many events have the common ones.
 *
 * An entry that the ring has overwritten is known by its number, which is below
 * `oldest` for good. Taking back puts what the slot held before; where that is
 * gone from the ring, too, the slot only says a position that is too high. */
#include "store/recent_words.h"

#include <assert.h>
#include <stdlib.h>

#include "kernel/map.h"
#include "store/query_check.h"

#define TAG_SEED UINT64_C(0x9e3779b97f4a7c15) /* a tag and a type of one spelling are two words */

static uint64_t type_hash(ex_slice type)
{
    return ex_hash(type);
}

static uint64_t tag_hash(ex_slice tag)
{
    return ex_hash(tag) ^ TAG_SEED;
}

static word_slot *slot_of(const recent_words *w, uint64_t hash)
{
    return &w->slots[(hash >> 16) % RECENT_WORDS];
}

/* NULL: overwritten, or none. */
static const word_entry *entry_of(const recent_words *w, uint64_t entry)
{
    return entry >= w->oldest ? &w->entries[(entry - 1) % RECENT_WORDS] : NULL;
}

/* ---- Life ---- */

ex_status recent_words_init(recent_words *w, uint64_t head, ex_error *err)
{
    *w = (recent_words){.floor = head, .covered = head, .oldest = 1};
    w->slots = calloc(RECENT_WORDS, sizeof(*w->slots));
    w->entries = calloc(RECENT_WORDS, sizeof(*w->entries));
    return w->slots && w->entries ? EX_OK
                                  : ex_raise(err, EX_ENOMEM, "no memory for the recent words");
}

void recent_words_done(recent_words *w)
{
    free(w->slots);
    free(w->entries);
    *w = (recent_words){0};
}

/* ---- Learning ---- */

void recent_words_raise(recent_words *w, uint64_t head)
{
    if (w->floor < head)
        w->floor = head;
    if (w->covered < head)
        w->covered = head;
}

static void put(recent_words *w, uint64_t position, uint64_t hash)
{
    word_slot *slot = slot_of(w, hash);
    word_entry *e = &w->entries[w->count % RECENT_WORDS];
    if (w->count + 1 == w->oldest + RECENT_WORDS) { /* the oldest goes */
        w->oldest++;
        if (w->covered < e->position)
            w->covered = e->position;
    }
    *e = (word_entry){hash, position, *slot};
    *slot = (word_slot){position, ++w->count};
}

void recent_words_put(recent_words *w, uint64_t position, ex_slice type, ex_tags tags)
{
    size_t at = 0;
    ex_slice tag;
    put(w, position, type_hash(type));
    while (ex_tags_next(tags, &at, &tag))
        put(w, position, tag_hash(tag));
}

void recent_words_take_back(recent_words *w, uint64_t head)
{
    const word_entry *e;
    while ((e = entry_of(w, w->count)) && e->position > head) {
        *slot_of(w, e->hash) = e->older;
        w->count--;
    }
}

/* ---- Asking ---- */

/* Where the walk along one word stands. */
typedef struct word_cursor {
    uint64_t hash;
    const word_entry *at; /* of this very word; NULL: at its end */
} word_cursor;

typedef struct word_walk {
    const recent_words *words;
    uint64_t after;
    uint32_t steps;
    word_cursor *tags, *types;
    uint32_t tag_count, type_count;
    bool has_types; /* the item names some */
} word_walk;

static bool may_be_above(const recent_words *w, uint64_t hash, uint64_t after)
{
    return w->floor > after || slot_of(w, hash)->position > after;
}

/* False: a word of the item is above `after` in no event at all. */
static bool start(word_walk *k, const ex_query_item *item)
{
    for (uint32_t i = 0; i < item->tag_count; i++) {
        uint64_t hash = tag_hash(item->tags[i]);
        if (!may_be_above(k->words, hash, k->after))
            return false;
        k->tags[k->tag_count++].hash = hash;
    }
    for (uint32_t i = 0; i < item->type_count; i++) {
        uint64_t hash = type_hash(item->types[i]);
        if (may_be_above(k->words, hash, k->after))
            k->types[k->type_count++].hash = hash;
    }
    return item->type_count == 0 || k->type_count > 0;
}

/* On to the newest event of the word that is not above `upto`. */
static void seek(word_walk *k, word_cursor *c, uint64_t upto)
{
    const word_entry *e = c->at;
    while (e && e->position > k->after && (e->position > upto || e->hash != c->hash) && k->steps) {
        e = entry_of(k->words, e->older.entry);
        k->steps--;
    }
    c->at = e && e->position > k->after ? e : NULL;
}

/* The newest event not above `upto` that has one of the types; 0: none. */
static uint64_t seek_types(word_walk *k, uint64_t upto)
{
    uint64_t newest = 0;
    for (uint32_t i = 0; i < k->type_count; i++) {
        seek(k, &k->types[i], upto);
        if (k->types[i].at && k->types[i].at->position > newest)
            newest = k->types[i].at->position;
    }
    return newest;
}

/* The newest event not above `upto` that has all words; 0: none, or no steps are left. */
static uint64_t seek_all(word_walk *k, uint64_t upto)
{
    uint64_t target = upto, before;
    do {
        before = target;
        for (uint32_t i = 0; i < k->tag_count; i++) {
            seek(k, &k->tags[i], target);
            if (!k->tags[i].at)
                return 0;
            target = k->tags[i].at->position;
        }
        if (k->has_types)
            target = seek_types(k, target);
    } while (target && target != before && k->steps);
    return target == before && k->steps ? target : 0;
}

bool recent_words_walk(const recent_words *w, const ex_query_item *item, uint64_t after,
                       uint32_t steps, recent_words_fn *fn, void *ctx)
{
    word_cursor cursors[QUERY_NAMES_MAX];
    assert(item->tag_count + item->type_count > 0 &&
           item->tag_count + item->type_count <= QUERY_NAMES_MAX);
    word_walk k = {.words = w,
                   .after = after,
                   .steps = steps,
                   .tags = cursors,
                   .types = cursors + item->tag_count,
                   .has_types = item->type_count > 0};
    if (!start(&k, item))
        return true;
    if (after < w->covered)
        return false;
    for (uint32_t i = 0; i < k.tag_count; i++)
        k.tags[i].at = entry_of(w, slot_of(w, k.tags[i].hash)->entry);
    for (uint32_t i = 0; i < k.type_count; i++)
        k.types[i].at = entry_of(w, slot_of(w, k.types[i].hash)->entry);
    uint64_t upto = UINT64_MAX;
    for (;;) {
        uint64_t position = seek_all(&k, upto);
        if (position == 0 || !fn(ctx, position))
            return k.steps > 0;
        upto = position - 1;
    }
}
