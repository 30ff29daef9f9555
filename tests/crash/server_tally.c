/* server_tally.c: see server_tally.h. */
#include "crash/server_tally.h"

#include <inttypes.h>
#include <stdio.h>

void server_tally_unanswered(server_tally *t, const server_load *load, const server_log *log)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < load->clients[i].attempt_count; k++) {
            const attempt *a = load->clients[i].attempts[k];
            t->unanswered += a->state == ATTEMPT_OPEN;
            t->unanswered_stored += a->state == ATTEMPT_OPEN && server_log_has(log, a->number);
        }
}

void server_tally_outcomes(server_tally *t, server_load *load)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        server_client *c = &load->clients[i];
        for (size_t k = 0; k < c->attempt_count; k++) {
            t->acknowledged += c->attempts[k]->state == ATTEMPT_DONE;
            t->rejected += c->attempts[k]->state == ATTEMPT_REJECTED;
        }
        t->repeated += c->repeated;
        t->rows_asked += c->rows_asked;
        c->repeated = c->rows_asked = 0;
    }
}

void server_tally_print(const server_tally *t)
{
    printf("%" PRIu64 " requests acknowledged, %" PRIu64 " rejected, %" PRIu64
           " without an answer (%" PRIu64 " of them stored), %" PRIu64 " repeated, %" PRIu64
           " rows read after a write\n",
           t->acknowledged, t->rejected, t->unanswered, t->unanswered_stored, t->repeated,
           t->rows_asked);
}
