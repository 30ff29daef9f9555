/* features.h: named features of a stored log, in three classes, as ext4 has them.
 *
 *   class                  a build that does not know the feature
 *   ---------------------  --------------------------------------
 *   compatible             reads and writes as if it were not there
 *   read-only compatible   may read, must not write
 *   incompatible           must not open it
 *
 * They stand in the table `features` of the store, beside its format version: what is added later
 * is a feature with a class of its own, and needs no new format. A class that is not known counts
 * as incompatible. */
#ifndef EXCORE_STORE_FEATURES_H
#define EXCORE_STORE_FEATURES_H

#include <stdbool.h>

#include <excore/error.h>

#define STORE_FEATURES_SIZE 512

/** The log has an id and epochs (log_id.h). Who does not know of it must not write: what he does to
 *  the log would not be told to those who hold positions. */
#define STORE_FEATURE_EPOCHS     "epochs"
#define STORE_FEATURE_EPOCHS_SQL "INSERT INTO features VALUES ('epochs', 'read-only compatible');"
/** The views of the log for people (stream_log, tag_log). */
#define STORE_FEATURE_LOG_VIEWS     "log-views"
#define STORE_FEATURE_LOG_VIEWS_SQL "INSERT INTO features VALUES ('log-views', 'compatible');"
/** PostgreSQL: the head knows up to when nodes have seen time pass (sequencer_time.c). Who does not
 *  know of it forgets outcomes by a clock. */
#define STORE_FEATURE_SEEN_TIME     "seen-time"
#define STORE_FEATURE_SEEN_TIME_SQL "INSERT INTO features VALUES ('seen-time', 'compatible');"
/** PostgreSQL: the witness names the start of the server (log_epoch.c). Who does not know of it sees
 *  no copy of the files of a server that was stopped. */
#define STORE_FEATURE_SERVER_START     "server-start"
#define STORE_FEATURE_SERVER_START_SQL "INSERT INTO features VALUES ('server-start', 'compatible');"
/** Both engines' table. */
#define STORE_FEATURES_CHECK                                                                       \
    "CHECK (class IN ('compatible', 'read-only compatible', 'incompatible'))"

/** What a store has. Zeroed: nothing. Names are separated by ", "; what does not fit ends in "...".
 */
typedef struct store_features {
    char all[STORE_FEATURES_SIZE];
    char unwritable[STORE_FEATURES_SIZE]; /* unknown here, read-only compatible */
    char unreadable[STORE_FEATURES_SIZE]; /* unknown here, incompatible */
    char missing[STORE_FEATURES_SIZE];    /* that this build would add; see store_features_miss */
} store_features;

/** What came after a format and is compatible with it: a store that lacks it gets it, one that has
 * it is served by older builds as before. */
typedef struct store_addition {
    const char *name;
    const char *sql; /* makes it, and its row in `features` */
} store_addition;

void store_features_add(store_features *f, ex_slice name, ex_slice class_name);
bool store_features_has(const store_features *f, const char *name);
/** Once all are added: name in `missing` what the store lacks of the list. */
void store_features_miss(store_features *f, const store_addition *list, size_t count);
/** May this build open the store? @param what for people: the file or schema
 *  @return EX_OK, EX_EFORMAT (names the features that it does not know) */
EX_NODISCARD ex_status store_features_check(const store_features *f, bool to_write,
                                            const char *what, ex_error *err);

#endif
