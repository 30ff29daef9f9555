/* status_json.c: see status_json.h. */
#include "api/status_json.h"

#include "runtime/view_settle.h"

#include <excore/clock.h>
#include <excore/runtime.h>

void status_json_begin(ex_json_writer *w, ex_buf *out)
{
    ex_json_writer_init(w, out);
    ex_json_begin_object(w);
}

void status_json_end(ex_json_writer *w)
{
    ex_json_end_object(w);
}

void status_json_server(ex_json_writer *w, const status_server *server)
{
    ex_json_key(w, EX_S("server"));
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("version"), ex_str(server->version));
    ex_json_string_member(w, EX_S("commit"), ex_str(server->commit));
    ex_json_i64_member(w, EX_S("uptime_seconds"), server->uptime_us / 1000000);
    ex_json_end_object(w);
}

static void put_identity(ex_json_writer *w, const ex_store_facts *store)
{
    char id[EX_ID_TEXT_SIZE], opened[EX_TIME_TEXT_SIZE];
    if (ex_id_is_nil(&store->log_id))
        return; /* a format that has none */
    ex_json_string_member(w, EX_S("log_id"), ex_id_text(&store->log_id, id));
    ex_json_key(w, EX_S("epoch"));
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("id"), ex_id_text(&store->epoch.id, id));
    ex_json_u64_member(w, EX_S("number"), store->epochs);
    ex_json_u64_member(w, EX_S("first"), store->epoch.first);
    ex_json_string_member(w, EX_S("reason"), ex_str(ex_epoch_reason_name(store->epoch.reason)));
    ex_json_string_member(w, EX_S("opened_at"), ex_time_text(store->epoch.opened_at_us, opened));
    ex_json_end_object(w);
}

/* "a, b" as a list */
static void put_features(ex_json_writer *w, const char *names)
{
    ex_json_key(w, EX_S("features"));
    ex_json_begin_array(w);
    while (*names) {
        size_t len = strcspn(names, ",");
        ex_json_string(w, ex_slice_of(names, len));
        names += len;
        names += strspn(names, ", ");
    }
    ex_json_end_array(w);
}

void status_json_store(ex_json_writer *w, const ex_store_facts *store)
{
    ex_json_key(w, EX_S("store"));
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("engine"), ex_str(store->engine));
    ex_json_u64_member(w, EX_S("format"), store->format);
    ex_json_u64_member(w, EX_S("head"), store->head);
    if (store->clock_ahead_us)
        ex_json_i64_member(w, EX_S("clock_ahead_seconds"), store->clock_ahead_us / 1000000);
    ex_json_u64_member(w, EX_S("size_bytes"), store->size_bytes);
    if (store->durability)
        ex_json_string_member(w, EX_S("durability"), ex_str(store->durability));
    put_identity(w, store);
    put_features(w, store->features);
    ex_json_end_object(w);
}

static ex_slice state_name(ex_view_state state)
{
    switch (state) {
    case EX_VIEW_REBUILDING:
        return EX_S("rebuilding");
    case EX_VIEW_ACTIVE:
        return EX_S("active");
    case EX_VIEW_PAUSED:
        return EX_S("paused");
    case EX_VIEW_ERROR:
        return EX_S("error");
    case EX_VIEW_STANDBY:
        return EX_S("standby");
    }
    return EX_S("unknown");
}

void status_json_view_status(ex_json_writer *w, const ex_view_status *view)
{
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("context"), ex_str(view->context));
    ex_json_string_member(w, EX_S("name"), ex_str(view->name));
    ex_json_string_member(w, EX_S("state"), state_name(view->state));
    ex_json_u64_member(w, EX_S("position"), view->position);
    ex_json_u64_member(w, EX_S("lag"), view->lag);
    ex_json_u64_member(w, EX_S("parked"), view->parked);
    if (view->is_other_build)
        ex_json_bool_member(w, EX_S("is_other_build"), true);
    if (view->error[0])
        ex_json_string_member(w, EX_S("error"), ex_str(view->error));
    ex_json_end_object(w);
}

void status_json_runtime(ex_json_writer *w, struct ex_runtime *rt)
{
    ex_view_status view;
    ex_json_key(w, EX_S("views"));
    ex_json_begin_array(w);
    for (uint32_t i = 0; rt && ex_runtime_view_status(rt, i, &view); i++)
        status_json_view_status(w, &view);
    ex_json_end_array(w);
}

void status_json_view(ex_json_writer *w, const view_list_entry *view, uint64_t head)
{
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("name"), view->name);
    ex_json_u64_member(w, EX_S("position"), view->position);
    ex_json_u64_member(w, EX_S("lag"), view->position < head ? head - view->position : 0);
    ex_json_u64_member(w, EX_S("parked"), view->parked);
    ex_json_end_object(w);
}

void status_json_parked(ex_json_writer *w, const ex_parked_event *e)
{
    char time[EX_TIME_TEXT_SIZE];
    ex_json_begin_object(w);
    ex_json_u64_member(w, EX_S("position"), e->position);
    ex_json_string_member(w, EX_S("stream"), e->stream);
    ex_json_string_member(w, EX_S("type"), e->type);
    ex_json_string_member(w, EX_S("reason"), e->reason);
    ex_json_u64_member(w, EX_S("attempts"), e->attempts);
    ex_json_string_member(w, EX_S("parked_at"), ex_time_text(e->parked_at_us, time));
    ex_json_string_member(w, EX_S("state"), ex_str(view_settle_state_name(e->state)));
    if (e->settled_at_us) {
        ex_json_string_member(w, EX_S("settled_by"), e->settled_by);
        ex_json_string_member(w, EX_S("settled_at"), ex_time_text(e->settled_at_us, time));
    }
    if (e->note.len)
        ex_json_string_member(w, EX_S("note"), e->note);
    ex_json_end_object(w);
}

void status_json_retried(ex_buf *out, const ex_view_retried *r)
{
    ex_json_writer w;
    status_json_begin(&w, out);
    ex_json_u64_member(&w, EX_S("asked"), r->asked);
    ex_json_u64_member(&w, EX_S("applied"), r->applied);
    ex_json_u64_member(&w, EX_S("parked_again"), r->parked_again);
    ex_json_u64_member(&w, EX_S("waiting"), r->waiting);
    status_json_end(&w);
}

/* ---- Nodes ---- */

static void put_node(void *ctx, const ex_node_info *info)
{
    ex_json_writer *w = ctx;
    char started[EX_TIME_TEXT_SIZE];
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("id"), info->id);
    ex_json_string_member(w, EX_S("host"), info->host);
    ex_json_i64_member(w, EX_S("pid"), info->pid);
    ex_json_string_member(w, EX_S("address"), info->address);
    ex_json_string_member(w, EX_S("version"), info->version);
    ex_json_string_member(w, EX_S("state"), info->is_live ? EX_S("live") : EX_S("lost"));
    ex_json_u64_member(w, EX_S("leases"), info->leases);
    ex_json_string_member(w, EX_S("started_at"), ex_time_text(info->started_at_us, started));
    ex_json_i64_member(w, EX_S("seen_seconds_ago"), info->seen_ms_ago / 1000);
    ex_json_end_object(w);
}

static void put_lease(void *ctx, const ex_lease_info *info)
{
    ex_json_writer *w = ctx;
    ex_json_begin_object(w);
    ex_json_string_member(w, EX_S("name"), info->name);
    if (info->node.len) {
        ex_json_string_member(w, EX_S("node"), info->node);
        ex_json_i64_member(w, EX_S("left_seconds"), info->left_ms / 1000);
    }
    ex_json_u64_member(w, EX_S("token"), info->token);
    ex_json_end_object(w);
}

static void begin_leases(void *ctx)
{
    ex_json_writer *w = ctx;
    ex_json_end_array(w);
    ex_json_key(w, EX_S("leases"));
    ex_json_begin_array(w);
}

ex_status status_json_nodes(ex_json_writer *w, ex_lease_lister *lister, ex_error *err)
{
    ex_lease_list list = {begin_leases, put_node, put_lease, w};
    ex_json_key(w, EX_S("nodes"));
    ex_json_begin_array(w);
    ex_status st = ex_lease_lister_read(lister, &list, err);
    ex_json_end_array(w);
    return st;
}
