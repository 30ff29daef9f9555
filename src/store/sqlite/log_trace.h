/* log_trace.h: what the directory remembers of its log, beside the log: DIR/events.trace.
 *
 * A file that was put in the place of events.db says of itself that all is well. So this one tells
 * whose log was here, how far it went, and whether it was closed:
 *
 *   log 0197a3b0-…                             LF   id of the log
 *   head 00000000000000000042                  LF   position of the last event that was committed
 *   closed 0000000001764440000.123456789       LF   ctime of events.db when it was closed; "open  "
 *                                                   and zeros while it is written
 *   seen 00000001764440000000                  LF   up to when time has been seen to pass, in
 *                                                   microseconds (sequencer_time.c)
 *
 * The lines have fixed lengths and are written over. Nothing is synced: the file bears witness
 * after kill -9, not after a power cut; what it cannot tell then, the mark in the log tells
 * (log_epoch.c). A missing or unreadable one is no failure: the log then gets an epoch too much,
 * which costs nobody anything. */
#ifndef EXCORE_STORE_SQLITE_LOG_TRACE_H
#define EXCORE_STORE_SQLITE_LOG_TRACE_H

#include <excore/id.h>

#define LOG_TRACE_FILE "events.trace"

typedef struct log_trace {
    int fd; /* -1: there is none */
    int64_t seen_us;
} log_trace;

#define LOG_TRACE_NONE                                                                             \
    {                                                                                              \
        -1, 0                                                                                      \
    }

/** What the file said. */
typedef struct log_trace_was {
    bool is_there; /* and can be read */
    ex_id log_id;
    uint64_t head;
    bool was_closed;
    int64_t closed_ns; /* ctime of events.db then */
    int64_t seen_us;   /* 0: not known */
} log_trace_was;

/** What the trace beside `log_path` says; nothing is made. */
void log_trace_peek(const char *log_path, log_trace_was *ret);
/** Open or make the trace beside `log_path` and read it. Cannot fail: without it fd is -1. */
void log_trace_open(log_trace *t, const char *log_path, log_trace_was *ret);
/** The log is going to be written. What was seen of time stays when it is `t`'s. */
void log_trace_begin(log_trace *t, const ex_id *log_id, uint64_t head);
/** The log goes up to `head`. A system call, no wait for the disk. With each commit: a log whose WAL
 *  somebody has folded in is known to be whole by it (wal_proof.c). */
void log_trace_note(log_trace *t, uint64_t head);
/** Time has been seen to pass up to `seen_us`. */
void log_trace_note_seen(log_trace *t, int64_t seen_us);
/** Close it; `is_in_order`: all connections to the log are closed and nothing is missing in it. */
void log_trace_close(log_trace *t, const char *log_path, bool is_in_order);

/** The ctime of a file, 0 when it cannot be told. */
int64_t log_trace_changed_ns(const char *path);
/** Which file this is: another one has another text. @param ret "" when it cannot be told */
#define LOG_PLACE_SIZE 80
void log_trace_place(const char *path, char ret[LOG_PLACE_SIZE]);

#endif
