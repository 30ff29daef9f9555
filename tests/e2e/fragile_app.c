/* fragile_app.c: an application that breaks in the way it is told to: what a crash leaves behind. */
#include <excore/app.h>

#include <signal.h>

typedef struct glass {
    int64_t filled;
} glass;
typedef struct break_glass {
    ex_slice glass_id;
    ex_slice how;
} break_glass;
typedef struct glass_event {
    ex_slice glass_id;
} glass_event;
typedef glass_event glass_cracked;
typedef glass_event glass_shown;
typedef glass_event shown;
/* clang-format off */
EX_TYPE(glass, "Glass", EX_FIELD(glass, filled));
EX_TYPE(break_glass, "BreakGlass", EX_KEY(break_glass, glass_id), EX_FIELD(break_glass, how));
EX_TYPE(glass_cracked, "GlassCracked", EX_KEY(glass_cracked, glass_id));
EX_TYPE(glass_shown, "GlassShown", EX_KEY(glass_shown, glass_id));
EX_TYPE(shown, "Shown", EX_KEY(shown, glass_id));
/* clang-format on */

static const char *volatile nowhere; /* the compiler does not see that it is NULL */
static volatile int zero;

static bool is_five_times_x(ex_slice text)
{
    return ex_slice_eq(text, EX_S("xxxxx"));
}

/* Deeper than any stack. */
static int64_t descend(int64_t depth)
{
    volatile char frame[4096];
    frame[0] = (char)depth;
    int64_t below = zero ? 0 : descend(depth + 1);
    return below + frame[0]; /* after the call: the frame must stay */
}

static ex_status decide_break(const glass *g, const break_glass *c, ex_decision *d)
{
    (void)g;
    if (ex_slice_is(c->how, "slice") && is_five_times_x((ex_slice){nowhere, 5}))
        return EX_OK;
    if (ex_slice_is(c->how, "stack") && descend(0) < 0)
        return EX_OK;
    if (ex_slice_is(c->how, "number") && 7 / zero > 0)
        return EX_OK;
    if (ex_slice_is(c->how, "abort"))
        (void)raise(SIGABRT);
    if (ex_slice_is(c->how, "trap"))
        __builtin_trap();
    if (ex_slice_is(c->how, "overrun")) {
        char *five = ex_arena_alloc(ex_decision_arena(d), 5);
        for (int i = 0; five && i < 6; i++)
            ((volatile char *)five)[i] = 'x';
    }
    if (ex_slice_is(c->how, "evolve"))
        return ex_emit(d, glass_cracked, .glass_id = c->glass_id);
    return ex_emit(d, glass_shown, .glass_id = c->glass_id);
}

static void on_cracked(glass *g, const glass_cracked *e, ex_arena *memory)
{
    (void)e, (void)memory;
    g->filled = *nowhere;
}

static void on_shown(glass *g, const glass_shown *e, ex_arena *memory)
{
    (void)e, (void)memory;
    g->filled++;
}

static ex_status when_shown(ex_view_tx *tx, const glass_shown *e, const ex_event *event)
{
    (void)event;
    if (ex_slice_is(e->glass_id, "of the view"))
        return (ex_status)*nowhere;
    return ex_row_put(tx, shown, .glass_id = e->glass_id);
}

#define GLASS_COMMANDS(COMMAND) COMMAND(glass, break_glass, "break", decide_break)
#define GLASS_EVENTS(EVENT)                                                                        \
    EVENT(glass, glass_cracked, on_cracked)                                                        \
    EVENT(glass, glass_shown, on_shown)
EX_AGGREGATE(glass, "glass", GLASS_COMMANDS, GLASS_EVENTS);
#define SHOWN_EVENTS(WHEN) WHEN(glass_shown, when_shown)
EX_VIEW(shown, "shown", 1, SHOWN_EVENTS);

static const ex_context bar = {
    .name = "bar", EX_AGGREGATES(&glass_aggregate), EX_VIEWS(&shown_view)};

EX_APP("fragile", &bar);
