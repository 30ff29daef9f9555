/* serve.h: the server as a whole: its parts in order, its life from start to last signal. */
#ifndef EXCORE_APP_SERVE_H
#define EXCORE_APP_SERVE_H

#include "app/settings.h"

/** Called once, when the server answers. `line` is borrowed: "serving http://127.0.0.1:8080 (…)".
 */
typedef void serve_ready_fn(void *ctx, const char *line);

/** Run the server until SIGTERM or SIGINT, then end it in order: readiness says 503, no new
 *  connections, requests in progress are finished (up to server.shutdown_timeout), views stop, the
 *  store is closed. A second signal ends the process at once with exit code 1. SIGHUP reopens
 *  the log, SIGUSR1 switches between its level and debug.
 *  @param app linked in, or NULL; settings then may name one to load
 *  @return EX_OK (ended by a signal), or why it did not start: the parts before are stopped
 *  Thread: main, before any other is started. Blocking: until the end. */
EX_NODISCARD ex_status serve_run(const settings *s, const ex_app *app, serve_ready_fn *ready,
                                 void *ctx, ex_error *err);

#endif
