/* shared_model.h: a store on the driver in memory, behind the port of a shared engine.
 *
 * It counts what it is asked, and "others" write behind the store's back, which
 * a database and a second node cannot do at an exact moment. One at a time. */
#ifndef EXCORE_TESTS_SHARED_MODEL_H
#define EXCORE_TESTS_SHARED_MODEL_H

#include <excore/store.h>

#include "store/driver.h"

#include <stdatomic.h>

typedef struct shared_model_state {
    /* asked: of begun, those with a look-up; looked_up: inside of a batch */
    atomic_uint begun, begun_blind, asked, looked_up, committed, rolled_back;
    /* set between batches */
    ex_status commit_fails; /* the next one: nothing is stored */
    store_epochs epochs;    /* told by the next begin or refresh, once; count 0: none */
    /* any time */
    atomic_uint searching;            /* for conditions, now */
    atomic_bool holds_searches;       /* for conditions */
    _Atomic(ex_status) begin_fails;   /* each, until it is reset */
    void (*_Atomic on_failing)(void); /* called by the first one that fails; nullable */
} shared_model_state;

extern shared_model_state shared_model;

ex_status shared_model_open(ex_store **ret, ex_error *err);
/** The same with options, which are in memory. */
ex_status shared_model_open_with(const ex_store_options *options, ex_store **ret, ex_error *err);
/** Count from zero. */
void shared_model_reset(void);
/** Another node appends one event. Between our batches only. */
void shared_model_others_append(const char *stream, const char *type, const char *data);

#endif
