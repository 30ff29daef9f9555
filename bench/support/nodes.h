/* nodes.h: several processes on one store, loaded at the same time. */
#ifndef EXCORE_BENCH_NODES_H
#define EXCORE_BENCH_NODES_H

#include <stdint.h>

typedef struct nodes_load {
    uint32_t count;
    /** In the child: get ready, then return what `run` is given. Exits on failure. */
    void *(*open)(void *ctx, uint32_t node);
    double (*run)(void *opened); /* a rate */
    void (*close)(void *opened);
    void *ctx;
} nodes_load;

/** Fork the nodes, start their loads together once all are ready. The caller has no threads.
 *  Exits when a node failed. @return the sum of their rates */
double nodes_run(const nodes_load *load);

#endif
