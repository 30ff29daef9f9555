/* event_check.h: whether the application could read an event that somebody wants to append.
 *
 * An application reads an event in two places: the aggregate whose stream it is in folds it, and
 * every view that handles its type applies it. The aggregate must know the type, or declare that it
 * ignores it, and the event must be about it; the event must fit the type that each reader has. A
 * type that nobody reads in a stream of no aggregate is not checked. */
#ifndef EXCORE_RUNTIME_EVENT_CHECK_H
#define EXCORE_RUNTIME_EVENT_CHECK_H

#include <excore/app.h>

typedef struct event_check event_check;

/** The application must outlive it. */
EX_NODISCARD ex_status event_check_new(const ex_app *app, event_check **ret, ex_error *err);
/** NULL is accepted. */
void event_check_free(event_check *c);

/** @param event type, schema version and data matter
 *  @return EX_OK, EX_EINVAL (code EVENT_DOES_NOT_FIT, field in the event), EX_ENOMEM. Thread: any.
 */
EX_NODISCARD ex_status event_check_run(const event_check *c, ex_slice stream,
                                       const ex_new_event *event, ex_error *err);

#endif
