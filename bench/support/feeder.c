/* feeder.c: a lock-free stack of answered slots and a futex to sleep on. */
#include "support/feeder.h"

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/report.h"

typedef struct feeder {
    const feeder_load *load;
    char *slots;
    uint64_t submitted, answered; /* the feeding thread */
    _Atomic(feeder_slot *) finished;
    _Atomic uint32_t is_sleeping;
    _Atomic uint64_t failed;
    _Atomic ex_status failure;
} feeder;

void feeder_finish(feeder_slot *slot, ex_status status)
{
    feeder *f = slot->feeder;
    if (status) {
        atomic_fetch_add(&f->failed, 1);
        atomic_store(&f->failure, status);
    }
    feeder_slot *head = atomic_load_explicit(&f->finished, memory_order_relaxed);
    do
        slot->next = head;
    while (!atomic_compare_exchange_weak(&f->finished, &head, slot));
    if (atomic_load(&f->is_sleeping) && atomic_exchange(&f->is_sleeping, 0))
        syscall(SYS_futex, &f->is_sleeping, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static feeder_slot *wait_for_finished(feeder *f)
{
    for (;;) {
        feeder_slot *slot = atomic_exchange(&f->finished, NULL);
        if (slot)
            return slot;
        atomic_store(&f->is_sleeping, 1);
        if (atomic_load(&f->finished)) {
            atomic_store(&f->is_sleeping, 0);
            continue;
        }
        while (atomic_load(&f->is_sleeping))
            syscall(SYS_futex, &f->is_sleeping, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    }
}

static void submit(feeder *f, feeder_slot *slot)
{
    ex_error err;
    f->submitted++;
    bench_require(f->load->submit(f->load->ctx, slot, &err), &err);
}

static bool wants_more(const feeder *f, double elapsed)
{
    const feeder_load *l = f->load;
    return (l->seconds == 0 || elapsed < l->seconds) && (l->limit == 0 || f->submitted < l->limit);
}

static void keep_busy(feeder *f, double start)
{
    double elapsed = 0;
    for (uint32_t i = 0; i < f->load->in_flight && wants_more(f, 0); i++) {
        feeder_slot *slot = (feeder_slot *)(f->slots + i * f->load->slot_size);
        slot->feeder = f;
        slot->index = i;
        submit(f, slot);
    }
    while (f->answered < f->submitted) {
        for (feeder_slot *slot = wait_for_finished(f), *next; slot; slot = next) {
            next = slot->next;
            f->answered++;
            if (wants_more(f, elapsed))
                submit(f, slot);
        }
        elapsed = bench_seconds() - start;
    }
}

double feeder_run(const feeder_load *load)
{
    feeder f = {.load = load, .slots = calloc(load->in_flight, load->slot_size)};
    if (!f.slots)
        abort();
    double start = bench_seconds();
    keep_busy(&f, start);
    double took = bench_seconds() - start;
    for (uint32_t i = 0; load->drop && i < load->in_flight; i++)
        load->drop((feeder_slot *)(f.slots + i * load->slot_size));
    free(f.slots);
    if (f.failed) {
        fprintf(stderr, "bench: %llu submissions failed, the last one with: %s\n",
                (unsigned long long)f.failed, ex_status_text(f.failure));
        exit(1);
    }
    return (double)f.answered / took;
}
