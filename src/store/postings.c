/* postings.c: a tree of sorted lists; every node answers "lowest position not below p", or, when it
 * is to pause, up to where it has nothing. */
#include "store/postings.h"

#define FIRST_ROOM 16u /* most lists that are looked at are left at once: start small */
#define FULL_ROOM  1024u

typedef enum node_kind { NODE_LEAF, NODE_ANY, NODE_ALL } node_kind;

/* What all nodes of a tree share. */
typedef struct postings_walk {
    const postings_source *source;
    ex_arena *arena;
    uint64_t seeks; /* calls of postings_seek */
} postings_walk;

struct postings {
    node_kind kind;
    uint64_t current; /* the node's position; 0: not sought yet */
    uint64_t floor;   /* paused: from where it was sought up to here there is nothing */
    postings_walk *walk;
    /* inner nodes */
    postings **children;
    uint32_t child_count;
    /* leaves */
    postings_list list; /* key 0: the name is not stored, the list is empty */
    uint64_t *buffer;
    uint32_t room; /* positions that the last fill asked for */
    uint32_t size; /* of buffer */
    uint32_t count, at;
    uint64_t filled_in; /* number of the seek */
    bool is_last_buffer;
};

/* ---- Seeking ---- */

/* Who reads on where the buffer ends reads more at a time, who leaps far reads less. */
static uint32_t next_room(const postings *p, uint64_t from)
{
    if (p->count == 0)
        return FIRST_ROOM;
    uint64_t last = p->buffer[p->count - 1], span = last - p->buffer[0];
    if (from - last > span)
        return p->room > FIRST_ROOM ? p->room / 2 : FIRST_ROOM;
    return p->room < FULL_ROOM ? 2 * p->room : FULL_ROOM;
}

static ex_status leaf_refill(postings *p, uint64_t from, ex_error *err)
{
    uint32_t room = next_room(p, from);
    if (room > p->size) {
        p->buffer = ex_arena_array(p->walk->arena, room, sizeof(*p->buffer));
        if (!p->buffer)
            return ex_raise(err, EX_ENOMEM, "no memory to walk an index");
        p->size = room;
    }
    p->room = room;
    p->at = p->count = 0;
    p->filled_in = p->walk->seeks;
    const postings_source *source = p->walk->source;
    ex_status st = source->fill(source->ctx, &p->list, from, p->buffer, room, &p->count, err);
    p->is_last_buffer = st == EX_OK && p->count < room;
    return st;
}

/* Each call fills every list once if it has to, so that each one comes further. */
static bool may_pause(const postings *leaf)
{
    return leaf->filled_in == leaf->walk->seeks && store_pause_is_due(leaf->walk->source->pause);
}

static ex_status leaf_seek(postings *p, uint64_t from, ex_error *err)
{
    if (p->list.key == 0) {
        p->current = POSTINGS_END;
        return EX_OK;
    }
    while (p->at < p->count && p->buffer[p->at] < from)
        p->at++;
    if (p->at == p->count && !p->is_last_buffer) {
        if (may_pause(p)) {
            p->floor = from;
            return EX_EAGAIN;
        }
        ex_status st = leaf_refill(p, from, err);
        if (st)
            return st;
    }
    p->current = p->at < p->count ? p->buffer[p->at] : POSTINGS_END;
    return EX_OK;
}

static ex_status node_seek(postings *p, uint64_t from, ex_error *err);

/* When some are paused, what another one has is the lowest as far as they have nothing before it.
 */
static ex_status any_seek(postings *p, uint64_t from, ex_error *err)
{
    uint64_t lowest = POSTINGS_END, floor = POSTINGS_END;
    for (uint32_t i = 0; i < p->child_count; i++) {
        const postings *child = p->children[i];
        ex_status st = node_seek(p->children[i], from, err);
        if (st && st != EX_EAGAIN)
            return st;
        if (st == EX_OK && child->current < lowest)
            lowest = child->current;
        if (st == EX_EAGAIN && child->floor < floor)
            floor = child->floor;
    }
    if (floor < lowest) {
        p->floor = floor;
        return EX_EAGAIN;
    }
    p->current = lowest;
    return EX_OK;
}

/* Leapfrog: whoever is behind jumps to the furthest, until all stand at the same position. */
static ex_status all_seek(postings *p, uint64_t from, ex_error *err)
{
    uint64_t target = from;
    for (uint32_t agreed = 0, i = 0; agreed < p->child_count; i = (i + 1) % p->child_count) {
        postings *child = p->children[i];
        ex_status st = node_seek(child, target, err);
        if (st) {
            p->floor = child->floor; /* not below target; only looked at when it is a pause */
            return st;
        }
        agreed = child->current == target ? agreed + 1 : 1;
        target = child->current;
        if (target == POSTINGS_END)
            break;
    }
    p->current = target;
    return EX_OK;
}

static ex_status node_seek(postings *p, uint64_t from, ex_error *err)
{
    if (p->current >= from)
        return EX_OK;
    if (p->floor > from)
        from = p->floor;
    switch (p->kind) {
    case NODE_LEAF:
        return leaf_seek(p, from, err);
    case NODE_ANY:
        return any_seek(p, from, err);
    case NODE_ALL:
        return all_seek(p, from, err);
    }
    return ex_raise(err, EX_EINTERNAL, "unknown kind of index node");
}

ex_status postings_seek(postings *p, uint64_t from, uint64_t *ret_position, ex_error *err)
{
    p->walk->seeks++;
    ex_status st = node_seek(p, from, err);
    if (st == EX_OK)
        *ret_position = p->current;
    else if (st == EX_EAGAIN)
        *ret_position = p->floor;
    return st;
}

/* ---- Building ---- */

static bool query_is_all(const ex_query *query)
{
    if (query->item_count == 0)
        return true;
    for (uint32_t i = 0; i < query->item_count; i++)
        if (query->items[i].type_count == 0 && query->items[i].tag_count == 0)
            return true;
    return false;
}

bool postings_is_all(const ex_filter *filter)
{
    return !filter || (filter->stream_count == 0 && filter->correlation_id.len == 0 &&
                       query_is_all(&filter->query));
}

static postings *node_new(node_kind kind, uint32_t children, postings_walk *walk)
{
    postings *p = ex_arena_zalloc(walk->arena, sizeof(*p));
    if (!p)
        return NULL;
    p->kind = kind;
    p->walk = walk;
    if (children) {
        p->children = ex_arena_array(walk->arena, children, sizeof(postings *));
        if (!p->children)
            return NULL;
    }
    return p;
}

static ex_status add_leaves(postings *parent, postings_kind kind, const ex_slice *names,
                            uint32_t count, ex_error *err)
{
    const postings_source *source = parent->walk->source;
    for (uint32_t i = 0; i < count; i++) {
        postings *leaf = node_new(NODE_LEAF, 0, parent->walk);
        if (!leaf)
            return ex_raise(err, EX_ENOMEM, "no memory to walk an index");
        leaf->list = (postings_list){.kind = kind, .name = names[i]};
        ex_status st = source->resolve(source->ctx, kind, names[i], &leaf->list.key, err);
        if (st)
            return st;
        parent->children[parent->child_count++] = leaf;
    }
    return EX_OK;
}

static ex_status any_of(postings *parent, postings_kind kind, const ex_slice *names, uint32_t count,
                        ex_error *err)
{
    postings *any = node_new(NODE_ANY, count, parent->walk);
    if (!any)
        return ex_raise(err, EX_ENOMEM, "no memory to walk an index");
    parent->children[parent->child_count++] = any;
    return add_leaves(any, kind, names, count, err);
}

static ex_status add_item(postings *parent, const ex_query_item *item, ex_error *err)
{
    postings *all = node_new(NODE_ALL, item->tag_count + 1, parent->walk);
    if (!all)
        return ex_raise(err, EX_ENOMEM, "no memory to walk an index");
    parent->children[parent->child_count++] = all;
    /* tags first: they are the more selective lists, and the first one leads */
    ex_status st = add_leaves(all, POSTINGS_TAG, item->tags, item->tag_count, err);
    if (st == EX_OK && item->type_count)
        st = any_of(all, POSTINGS_TYPE, item->types, item->type_count, err);
    return st;
}

static ex_status add_query(postings *parent, const ex_query *query, ex_error *err)
{
    postings *any = node_new(NODE_ANY, query->item_count, parent->walk);
    if (!any)
        return ex_raise(err, EX_ENOMEM, "no memory to walk an index");
    parent->children[parent->child_count++] = any;
    for (uint32_t i = 0; i < query->item_count; i++) {
        ex_status st = add_item(any, &query->items[i], err);
        if (st)
            return st;
    }
    return EX_OK;
}

ex_status postings_new(const ex_filter *filter, const postings_source *source, ex_arena *arena,
                       postings **ret, ex_error *err)
{
    postings_walk *walk = ex_arena_zalloc(arena, sizeof(*walk));
    if (walk)
        *walk = (postings_walk){.source = source, .arena = arena};
    postings *root = walk ? node_new(NODE_ALL, 3, walk) : NULL;
    if (!root)
        return ex_raise(err, EX_ENOMEM, "no memory to walk an index");
    ex_status st = EX_OK;
    if (filter->correlation_id.len) /* the most selective list leads */
        st = add_leaves(root, POSTINGS_CORRELATION, &filter->correlation_id, 1, err);
    if (st == EX_OK && filter->stream_count)
        st = any_of(root, POSTINGS_STREAM, filter->streams, filter->stream_count, err);
    if (st == EX_OK && !query_is_all(&filter->query))
        st = add_query(root, &filter->query, err);
    if (st == EX_OK)
        *ret = root;
    return st;
}

ex_status postings_match(const postings_source *source, ex_arena *arena, store_match *match,
                         ex_error *err)
{
    postings *walk = NULL;
    postings_source paused = *source;
    const ex_filter filter = {.query = {match->item, 1}};
    uint64_t position = 0;
    paused.pause = match->pause;
    ex_status st = postings_new(&filter, &paused, arena, &walk, err);
    if (st == EX_OK)
        st = postings_seek(walk, match->after + 1, &position, err);
    if (st && st != EX_EAGAIN)
        return st;
    match->position = st == EX_OK && position <= match->upto ? position : 0;
    match->after = position <= match->upto ? position - 1 : match->upto;
    return EX_OK;
}
