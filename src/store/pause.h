/* pause.h: how a long search is told to stop for now.
 *
 * Work that may find nothing for long asks now and then, between two questions to
 * the engine, whether its slice of time is over. It then says how far it came, so
 * that it can go on from there later, perhaps on another reader. */
#ifndef EXCORE_STORE_PAUSE_H
#define EXCORE_STORE_PAUSE_H

#include <excore/base.h>

typedef struct store_pause {
    /** True: stop for now. Cheap, and true from then on. The searching thread. */
    bool (*is_due)(void *ctx);
    void *ctx;
} store_pause;

/** NULL: never. */
static inline bool store_pause_is_due(const store_pause *pause)
{
    return pause && pause->is_due(pause->ctx);
}

#endif
