/* describe.h: a store as people want to see it; no program decides on this. */
#ifndef EXCORE_STORE_DESCRIBE_H
#define EXCORE_STORE_DESCRIBE_H

#include <excore/store.h>

#define EX_FEATURES_SIZE 512

typedef struct ex_store_facts {
    const char *engine;     /* static: "sqlite", "memory" … */
    uint32_t format;        /* of what is stored; 0: nothing is */
    uint64_t head;          /* position of the last event */
    int64_t clock_ahead_us; /* how far the last event's time is ahead of the clock; 0: it is not */
    uint64_t size_bytes;    /* of the log and all that commits with it, on the disk; 0: none */
    ex_id log_id;           /* all zero: a format without one */
    ex_log_epoch epoch;     /* the last one */
    uint32_t epochs;        /* how many there are, of the last thousand */
    char features[EX_FEATURES_SIZE]; /* of the stored log, separated by ", " */
    const char *durability; /* in force: "full", "normal", "none" (in memory); NULL: this process
                               does not write it */
} ex_store_facts;

/** The durability that an acknowledged append has: "full", "normal" or "none" (in memory). */
const char *ex_store_durability(const ex_store *s);

/** Which layout of the tables a store has, and which one this program writes. */
typedef struct ex_store_format {
    const char *engine; /* static */
    uint32_t found;     /* below `known`: to be migrated */
    uint32_t known;
    char features[EX_FEATURES_SIZE];   /* that the store has, separated by ", " */
    char unwritable[EX_FEATURES_SIZE]; /* of those, the ones that keep this program from writing */
    char missing[EX_FEATURES_SIZE];    /* that a migration would add, compatible ones */
} ex_store_format;

/** Look at the format of a store without opening it as one: an older one is no failure, and nothing
 *  is changed. @param place directory or URL
 *  @return EX_OK, EX_ENOTFOUND, EX_EFORMAT (newer, a feature that this program would have to know,
 *          or no store of ours), EX_ESTORAGE …
 *  Thread: any. Blocking: yes. */
EX_NODISCARD ex_status ex_store_inspect(const char *place, ex_store_format *ret, ex_error *err);

/** Ask the engine. @return EX_OK, EX_ETIMEOUT (no read connection), EX_ESTORAGE
 *  Thread: any. Blocking: a few queries. */
EX_NODISCARD ex_status ex_store_describe(ex_store *s, ex_store_facts *ret, ex_error *err);

/** For health. @return EX_OK; EX_EAGAIN: the log's last time is a second or more ahead of the
 * clock, and by how much; why the log cannot be read. Thread: any. Blocking: a read. */
EX_NODISCARD ex_status ex_store_check_clock(ex_store *s, ex_error *err);

#endif
