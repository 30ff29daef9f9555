/* log_id.h: which log this is, and what is still true of a position that somebody kept.
 *
 * A position alone does not say what stands there: a log may lose its end, or be set back to a
 * backup, and then other events get the same positions. So a log has an id and a list of epochs, as
 * PostgreSQL has timelines. An epoch begins when what stands at and after its first position may
 * differ from what somebody saw before; nothing below it has changed.
 *
 * Whoever keeps a position keeps the epoch with it. The pair is current while the position is below
 * the first one of every later epoch. An epoch that the log does not list is never current. */
#ifndef EXCORE_LOG_ID_H
#define EXCORE_LOG_ID_H

#include <excore/id.h>

EX_BEGIN_DECLS

struct ex_store;

/* clang-format off */
/*   number, constant,  name in files and answers,   what happened */
#define EX_EPOCH_REASON_MAP(X)                                                                     \
    X(0, UNKNOWN,  "unknown",  "a reason of a later version of excore")                            \
    X(1, CREATED,  "created",  "the log was made")                                                 \
    X(2, MIGRATED, "migrated", "the log comes from a format without epochs")                       \
    X(3, UNCLEAN,  "unclean",  "its writer did not close it: a power cut may have taken its end")  \
    X(4, REPLACED, "replaced", "its files or tables are others than before: a restored backup, or "\
                               "a copy")                                                           \
    X(5, LOST_END, "lost_end", "it ends before a position that was committed")                     \
    X(6, RECOVERED,"recovered","the database server recovered from a crash, or took over for "     \
                               "another one")                                                      \
    X(7, COPIED,   "copied",   "excore copy has made it, event by event")                          \
    X(8, RESTARTED,"restarted","the database server was stopped and started: its files may be a "  \
                               "copy, or a backup that was put back")
/* clang-format on */

typedef enum ex_epoch_reason {
#define EX_EPOCH_REASON_ENUM(number, name, text, what) EX_EPOCH_##name = number,
    EX_EPOCH_REASON_MAP(EX_EPOCH_REASON_ENUM)
#undef EX_EPOCH_REASON_ENUM
} ex_epoch_reason;

typedef struct ex_log_epoch {
    ex_id id;       /* random; all zero: a store of a format without epochs */
    uint64_t first; /* position: this one and all after it belong to the epoch, until a later one */
    int64_t opened_at_us;
    ex_epoch_reason reason;
} ex_log_epoch;

/** The name of a reason, static: "created". Thread: any. */
EX_API const char *ex_epoch_reason_name(ex_epoch_reason reason);

/** The id of the log: it stays the same for as long as the store is open, and goes with a copy.
 *  All zero: a store of a format without one, opened for reading. Thread: any. Blocking: no. */
EX_API ex_id ex_store_log_id(struct ex_store *s);

/** The last epoch, in which what is appended now stands. On an engine where other nodes write, as
 *  far as this node knows; it learns of another one before it tells any event of it.
 *  Thread: any. Blocking: no. */
EX_API ex_log_epoch ex_store_epoch(struct ex_store *s);

/** The newest epochs, oldest first.
 *  @param out room for `room` of them; may be NULL when room is 0
 *  @return how many there are, of which the last `room` were written. A store remembers the last
 *          thousand; older ones count as unknown. Thread: any. Blocking: no. */
EX_API uint32_t ex_store_epochs(struct ex_store *s, ex_log_epoch *out, uint32_t room);

/** May a reader go on after `position`, which it was given in `epoch`?
 *  @param epoch NULL: not known; then only whether the log reaches so far is looked at
 *  @return EX_OK;
 *          EX_ELOGCHANGED: what stands at `position` may be something else now (err->position: the
 *          first one of which that is true, 1 when the epoch is unknown; err->current: the head);
 *          EX_EAHEAD: the log ends before it (err->current: the head);
 *          EX_EAGAIN: another node has opened an epoch of which this one has not heard yet;
 *          EX_ETIMEOUT, EX_ESTORAGE: the database could not be asked
 *  Thread: any but a callback of the store. Blocking: no when the answer is EX_OK and this process
 *          writes the store; else a query. */
EX_API EX_NODISCARD ex_status ex_store_check_position(struct ex_store *s, const ex_id *epoch,
                                                      uint64_t position, ex_error *err);

EX_END_DECLS

#endif
