/* status_json.h: the status of a store, its server and its views as JSON: one form for the HTTP
 * surface and the command line.
 *
 *   member   where              its members
 *   -------  -----------------  ---------------------------------------------------------------
 *   server   of a server only   version, commit, uptime_seconds
 *   store                       engine, format, head, clock_ahead_seconds (when the log's last time
 *                               is ahead), size_bytes, durability (where it is known),
 *                               log_id, epoch {id, number, first, reason, opened_at} (of a format
 *                               that has them), features []
 *   views    of a server        [context, name, state, position, lag, parked, is_other_build,
 *                               error (when there is one)]
 *            of a directory     [name, position, lag, parked]
 *
 *   nodes    on PostgreSQL      [id, host, pid, address, version, state (live, lost), leases,
 *                               started_at, seen_seconds_ago]
 *   leases   on PostgreSQL      [name, token; of one that is held also node, left_seconds]
 *
 * begin, then the parts that there are, then end. */
#ifndef EXCORE_API_STATUS_JSON_H
#define EXCORE_API_STATUS_JSON_H

#include <excore/json.h>

#include "runtime/view_list.h"
#include "sql/lease_list.h"
#include "store/describe.h"

#include <excore/runtime.h>

struct ex_runtime;

typedef struct status_server {
    const char *version;
    const char *commit;
    int64_t uptime_us;
} status_server;

void status_json_begin(ex_json_writer *w, ex_buf *out);
void status_json_end(ex_json_writer *w);
void status_json_server(ex_json_writer *w, const status_server *server);
void status_json_store(ex_json_writer *w, const ex_store_facts *store);
/** The views of a running application, NULL: none. */
void status_json_runtime(ex_json_writer *w, struct ex_runtime *rt);
/** The views one by one: "views":[ begins before the first and ends after the last. */
void status_json_view(ex_json_writer *w, const view_list_entry *view, uint64_t head);
/** One view of a running application. */
void status_json_view_status(ex_json_writer *w, const ex_view_status *view);
/** A parked event: position, stream, type, reason, attempts, parked_at, state (parked, retry,
 *  skipped); once somebody has asked something settled_by and settled_at, and the note of a skip. */
void status_json_parked(ex_json_writer *w, const ex_parked_event *e);
void status_json_retried(ex_buf *out, const ex_view_retried *r);

/** The nodes that share a PostgreSQL and their leases. What was written is of no use on a failure.
 *  Blocking: the network. */
EX_NODISCARD ex_status status_json_nodes(ex_json_writer *w, ex_lease_lister *lister, ex_error *err);

#endif
