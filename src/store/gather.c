/* gather.c: naps, and doubts about them. */
#include "store/gather.h"

#include <time.h>

#define NAP_REQUEST_NS 50000
#define NAP_NS         100000u /* what it takes, with the kernel's slack */
#define NAPS_MAX       20u
#define DOUBT_MAX      63u

void gather_begin(gather *g)
{
    uint64_t naps = g->commit_ns / 4 / NAP_NS;
    g->naps_left = naps < NAPS_MAX ? (uint32_t)naps : NAPS_MAX;
    g->has_waited = false;
    if (g->passes_left) {
        g->passes_left--;
        g->naps_left = 0;
    }
}

bool gather_nap(gather *g, uint32_t staged)
{
    if (g->naps_left == 0 || staged >= g->expected)
        return false;
    g->naps_left--;
    g->has_waited = true;
    struct timespec nap = {.tv_nsec = NAP_REQUEST_NS};
    (void)nanosleep(&nap, NULL); /* a shorter one is fine */
    return true;
}

void gather_end(gather *g, uint32_t staged, uint32_t waiting, uint64_t commit_ns)
{
    if (g->has_waited && staged < g->expected - g->expected / 4) {
        g->doubt = g->doubt < DOUBT_MAX ? 2 * g->doubt + 1 : DOUBT_MAX;
        g->passes_left = g->doubt;
    } else if (g->has_waited) {
        g->doubt = 0;
    }
    g->expected = staged + waiting;
    g->commit_ns = g->commit_ns ? (3 * g->commit_ns + commit_ns) / 4 : commit_ns;
}
