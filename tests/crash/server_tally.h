/* server_tally.h: what came of the attempts of a run, added up over its rounds. */
#ifndef EXCORE_TESTS_SERVER_TALLY_H
#define EXCORE_TESTS_SERVER_TALLY_H

#include "crash/server_clients.h"

typedef struct server_tally {
    uint64_t acknowledged, rejected, unanswered, unanswered_stored, repeated, rows_asked;
} server_tally;

/** What got no answer in this round, before it is repeated. The log must have been read. */
void server_tally_unanswered(server_tally *t, const server_load *load, const server_log *log);
/** The outcomes of this round, and what its clients repeated and asked: once a round. */
void server_tally_outcomes(server_tally *t, server_load *load);
void server_tally_print(const server_tally *t);

#endif
