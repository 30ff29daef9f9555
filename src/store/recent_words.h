/* recent_words.h: which types and tags the newest events have, so that most questions whether an
 * event matches are answered without the database.
 *
 * Two things are kept of every event that is staged, or told of by another node. A
 * table of 65,536 slots holds, for each hashed type or tag, the highest position
 * that had it: whoever asks for a word whose slot is not above a position has his
 * answer. And a ring of the last 65,536 words tells of the newest events which
 * words they have, by hashes of 64 bits. Both err on one side only: "none" is
 * true, "perhaps" may be wrong.
 *
 * What happened before the store was opened, and what other nodes appended without
 * telling, is not known: there every slot counts as taken. Nothing is allocated
 * later, so putting cannot fail.
 *
 * Thread: the sequencer's. */
#ifndef EXCORE_STORE_RECENT_WORDS_H
#define EXCORE_STORE_RECENT_WORDS_H

#include <excore/error.h>
#include <excore/event.h>

typedef struct word_slot {
    uint64_t position; /* the highest one that had a word of this slot */
    uint64_t entry;    /* its number + 1; 0: none */
} word_slot;

typedef struct word_entry {
    uint64_t hash;
    uint64_t position;
    word_slot older; /* what the slot held before */
} word_entry;

typedef struct recent_words {
    word_slot *slots;
    word_entry *entries; /* a ring: entry number n is at n % RECENT_WORDS */
    uint64_t count;      /* entries that were ever put and not taken back */
    uint64_t oldest;     /* number + 1 of the oldest one in the ring */
    uint64_t floor;      /* of events up to here the slots know nothing */
    uint64_t covered;    /* of events above it every word is in the ring */
} recent_words;

#define RECENT_WORDS 65536u /* slots, and entries of the ring */

/** Start with a log that ends at `head`. */
EX_NODISCARD ex_status recent_words_init(recent_words *w, uint64_t head, ex_error *err);
/** A zeroed one is accepted. */
void recent_words_done(recent_words *w);

/** Events up to `head` came that nobody told of. */
void recent_words_raise(recent_words *w, uint64_t head);
/** The next event. */
void recent_words_put(recent_words *w, uint64_t position, ex_slice type, ex_tags tags);
/** Forget the events above `head`: they are not going to be stored. */
void recent_words_take_back(recent_words *w, uint64_t head);

/** Every event above `after` that may match the item, the newest first; false ends the walk. */
typedef bool recent_words_fn(void *ctx, uint64_t position);

/** Walk the events above `after` that may match an item that names a type or a tag.
 *  @param steps most entries that are looked at
 *  @return true: fn was called for each of them, or ended it; false: there may be others, because
 *          more is asked than is known, or than `steps` allow */
bool recent_words_walk(const recent_words *w, const ex_query_item *item, uint64_t after,
                       uint32_t steps, recent_words_fn *fn, void *ctx);

#endif
