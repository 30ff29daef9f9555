/* latencies.c: see latencies.h. */
#include "support/latencies.h"

#include <stdio.h>
#include <stdlib.h>

void latencies_add(latencies *l, double value)
{
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 4096;
        l->values = realloc(l->values, l->room * sizeof(*l->values));
        if (!l->values) {
            fprintf(stderr, "no memory for latencies\n");
            exit(1);
        }
    }
    l->values[l->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double latencies_at(latencies *l, double share)
{
    if (l->count == 0)
        return 0;
    qsort(l->values, l->count, sizeof(*l->values), compare);
    return l->values[(size_t)((double)(l->count - 1) * share)];
}

void latencies_done(latencies *l)
{
    free(l->values);
    *l = (latencies){0};
}
