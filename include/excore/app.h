/* app.h: an application: contexts of aggregates, views and queries.
 *
 * An application is a shared object that `excore serve --app build/orders.so`
 * loads, or a program that links libexcore and calls ex_main. */
#ifndef EXCORE_APP_H
#define EXCORE_APP_H

#include <excore/aggregate.h>
#include <excore/view.h>

EX_BEGIN_DECLS

#define EX_APP_ABI 3

/** A bounded context: the first part of its routes, /v1/{context}/… */
typedef struct ex_context {
    const char *name; /* [a-z][a-z0-9_]* */
    const ex_aggregate *const *aggregates;
    uint32_t aggregate_count;
    const ex_view_def *const *views;
    uint32_t view_count;
    const ex_query_def *const *queries;
    uint32_t query_count;
} ex_context;

typedef struct ex_app {
    uint32_t abi; /* EX_APP_ABI */
    const char *name;
    const ex_context *const *contexts;
    uint32_t context_count;
} ex_app;

/* clang-format off */
#ifndef __cplusplus
/* The lists of a context, with their counts: EX_AGGREGATES(&order_aggregate), EX_VIEWS(&order_summary_view). */
#define EX_AGGREGATES(...)                                                                         \
    .aggregates = (const ex_aggregate *const[]){__VA_ARGS__},                                      \
    .aggregate_count = sizeof((const ex_aggregate *const[]){__VA_ARGS__}) / sizeof(void *)
#define EX_VIEWS(...)                                                                              \
    .views = (const ex_view_def *const[]){__VA_ARGS__},                                            \
    .view_count = sizeof((const ex_view_def *const[]){__VA_ARGS__}) / sizeof(void *)
#define EX_QUERIES(...)                                                                            \
    .queries = (const ex_query_def *const[]){__VA_ARGS__},                                         \
    .query_count = sizeof((const ex_query_def *const[]){__VA_ARGS__}) / sizeof(void *)

/** Define the function that a shared object is asked for: EX_APP("orders", &orders_context); */
#define EX_APP(app_name, ...)                                                                      \
    EX_API const ex_app *excore_app(void);                                                         \
    const ex_app *excore_app(void)                                                                 \
    {                                                                                              \
        static const ex_context *const contexts[] = {__VA_ARGS__};                                 \
        static const ex_app app = {EX_APP_ABI, (app_name), contexts,                               \
                                   sizeof(contexts) / sizeof(contexts[0])};                        \
        return &app;                                                                               \
    }                                                                                              \
    _Static_assert(1, "")
#endif
/* clang-format on */

/** Run the program `excore` with this application linked in: the same verbs, flags and exit codes.
 *  A crash leaves a line on stderr that names what was running, then takes its course:
 *
 *      excore: SIGSEGV at 0x0 on thread ex-sequencer: command orders/order/confirm, stream order-1
 *
 *  Other programs that link the library keep their own handlers of signals. Build application and
 *  library with -fsanitize=address to find overruns of arenas where they happen.
 *  @param app NULL: none. @return the exit code. Thread: main. Blocking: until the program ends. */
EX_API int ex_main(int argc, char **argv, const ex_app *app);

EX_END_DECLS

#endif
