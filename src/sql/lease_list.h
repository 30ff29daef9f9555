/* lease_list.h: the nodes of a database and who holds which lease, for people. */
#ifndef EXCORE_SQL_LEASE_LIST_H
#define EXCORE_SQL_LEASE_LIST_H

#include <excore/error.h>

/** Texts are borrowed for the call. */
typedef struct ex_node_info {
    ex_slice id, host, address, version;
    int64_t pid;
    int64_t started_at_us;
    int64_t seen_ms_ago;
    uint64_t leases; /* that it holds */
    bool is_live;    /* else it ended in the last minutes without saying so */
} ex_node_info;

typedef struct ex_lease_info {
    ex_slice name;
    ex_slice node; /* id of the holder; empty: free */
    uint64_t token;
    int64_t left_ms; /* until it ends, of one that is held */
} ex_lease_info;

typedef struct ex_lease_list {
    void (*begin_leases)(void *ctx); /* nullable: behind the last node */
    void (*node)(void *ctx, const ex_node_info *info);
    void (*lease)(void *ctx, const ex_lease_info *info);
    void *ctx;
} ex_lease_list;

typedef struct ex_lease_lister ex_lease_lister;

/** Connects at the first list and stays connected, for a server that is asked often.
 *  @param url of a PostgreSQL; copied
 *  @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status ex_lease_lister_new(const char *url, ex_lease_lister **ret, ex_error *err);
/** NULL is accepted. */
void ex_lease_lister_free(ex_lease_lister *l);
/** Whoever lists ends: nothing is waited for past `deadline_ns` (monotonic, the system's clock).
 *  Thread: any. Blocking: no. */
void ex_lease_lister_end_by(ex_lease_lister *l, uint64_t deadline_ns);
/** Tell the nodes by the time of their start, then the leases by name; none where the store has no
 *  such tables yet. What was told is of no use on a failure.
 *  @return EX_OK, or as ex_pg_open and a query. Thread: any; one waits for the other.
 *  Blocking: three queries, and connecting when the connection has ended. */
EX_NODISCARD ex_status ex_lease_lister_read(ex_lease_lister *l, const ex_lease_list *list,
                                            ex_error *err);

#endif
