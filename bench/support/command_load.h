/* command_load.h: commands through the library, for a rate.
 *
 * An account takes deposits: a command reads its JSON, decides on the state of
 * its stream and emits one event of about 256 bytes, which evolves the state. */
#ifndef EXCORE_BENCH_COMMAND_LOAD_H
#define EXCORE_BENCH_COMMAND_LOAD_H

#include <excore/runtime.h>

/** The domain, to start a runtime with. */
extern const ex_app command_load_app;

typedef struct command_load {
    ex_runtime *runtime;
    uint32_t streams; /* the commands visit them in turn, far from the last */
    uint32_t in_flight;
    double seconds; /* 0: until `limit` */
    uint64_t limit; /* commands; 0: until `seconds` are over */
} command_load;

/** Exits when a command fails. @return commands a second */
double command_load_run(const command_load *load);

#endif
