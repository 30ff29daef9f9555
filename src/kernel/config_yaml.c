/* config_yaml.c: a YAML file as a flat list of dotted names and texts.
 *
 * Walks libyaml's events by recursive descent over mappings, which are bounded
 * in depth. What a configuration has no use for (lists, anchors, aliases, tags,
 * several documents) is a fault at its line; the walk goes on behind it, so
 * that all faults are found at once. A syntax error ends the walk. */
#include "kernel/config_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "kernel/map.h"

typedef struct reader {
    yaml_parser_t parser;
    const char *file;
    config_faults *faults;
    config_entry_fn *fn;
    void *ctx;
    ex_map seen; /* names of values and sections -> their line */
    char path[CONFIG_NAME_SIZE];
    size_t path_len;
    bool is_stopped; /* after a syntax error, too many faults, or without memory */
    ex_status status;
} reader;

static size_t line_of(const yaml_event_t *e)
{
    return e->start_mark.line + 1;
}

static config_where at_line(const reader *r, size_t line)
{
    return (config_where){.file = r->file, .line = line};
}

static void fault(reader *r, size_t line, const char *what)
{
    config_where w = at_line(r, line);
    if (r->path_len)
        config_fault(r->faults, &w, "%.*s: %s", (int)r->path_len, r->path, what);
    else
        config_fault(r->faults, &w, "%s", what);
    r->is_stopped |= config_faults_full(r->faults);
}

static void syntax_fault(reader *r)
{
    r->is_stopped = true;
    if (r->parser.error == YAML_MEMORY_ERROR) {
        r->status = EX_ENOMEM;
        return;
    }
    config_where w = at_line(r, r->parser.problem_mark.line + 1);
    const char *problem = r->parser.problem ? r->parser.problem : "cannot be read";
    if (r->parser.error == YAML_READER_ERROR)
        w.line = 0; /* the reader knows only an offset */
    if (r->parser.context)
        config_fault(r->faults, &w, "not valid YAML: %s %s (from line %zu)", problem,
                     r->parser.context, r->parser.context_mark.line + 1);
    else
        config_fault(r->faults, &w, "not valid YAML: %s", problem);
}

/* The next event; false when the walk is over. The caller deletes the event. */
static bool next(reader *r, yaml_event_t *e)
{
    if (r->is_stopped)
        return false;
    if (yaml_parser_parse(&r->parser, e))
        return true;
    syntax_fault(r);
    return false;
}

static bool opens(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_START_EVENT || e->type == YAML_SEQUENCE_START_EVENT;
}

static bool closes(const yaml_event_t *e)
{
    return e->type == YAML_MAPPING_END_EVENT || e->type == YAML_SEQUENCE_END_EVENT;
}

/* Pass over the rest of a node whose first event was `first`. */
static void skip_node(reader *r, const yaml_event_t *first)
{
    size_t depth = opens(first);
    yaml_event_t e;
    while (depth > 0 && next(r, &e)) {
        depth += opens(&e);
        depth -= closes(&e);
        yaml_event_delete(&e);
    }
}

/* Anchors and tags are possible on every node. */
static void check_decorations(reader *r, const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    }
    if (anchor)
        fault(r, line_of(e), "anchors (&) and aliases (*) are not supported");
    if (tag)
        fault(r, line_of(e), "tags (!) are not supported");
}

static ex_slice scalar_text(const yaml_event_t *e)
{
    return ex_slice_of(e->data.scalar.value, e->data.scalar.length);
}

static bool is_null(const yaml_event_t *e)
{
    ex_slice s = scalar_text(e);
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (s.len == 0 || ex_slice_is(s, "~") || ex_slice_is(s, "null"));
}

/* Put a name behind the path; false with a fault when it cannot be one. */
static bool enter(reader *r, const yaml_event_t *key)
{
    ex_slice name = scalar_text(key);
    size_t dot = r->path_len > 0;
    if (name.len == 0 || r->path_len + dot + name.len >= sizeof(r->path)) {
        fault(r, line_of(key), name.len ? "a name in here is too long" : "a name is empty");
        return false;
    }
    if (dot)
        r->path[r->path_len] = '.';
    memcpy(r->path + r->path_len + dot, name.ptr, name.len);
    r->path_len += dot + name.len;
    return true;
}

/* False with a fault when the name was there before. */
static bool check_new(reader *r, size_t line)
{
    ex_slice path = ex_slice_of(r->path, r->path_len);
    void *first = ex_map_get(&r->seen, path);
    if (first) {
        char what[64];
        (void)snprintf(what, sizeof(what), "is given twice, first in line %zu",
                       (size_t)(uintptr_t)first);
        fault(r, line, what);
        return false;
    }
    if (ex_map_put(&r->seen, path, (void *)(uintptr_t)line, NULL)) {
        r->status = EX_ENOMEM;
        r->is_stopped = true;
        return false;
    }
    return true;
}

static void read_mapping(reader *r, size_t depth);

static void read_value(reader *r, size_t depth)
{
    yaml_event_t e;
    if (!next(r, &e))
        return;
    check_decorations(r, &e);
    size_t line = line_of(&e);
    if (e.type == YAML_SCALAR_EVENT) {
        r->fn(r->ctx, ex_slice_of(r->path, r->path_len), scalar_text(&e), line, is_null(&e));
        r->is_stopped |= config_faults_full(r->faults);
    } else if (e.type == YAML_MAPPING_START_EVENT && depth < CONFIG_DEPTH_MAX) {
        read_mapping(r, depth + 1);
    } else if (e.type == YAML_ALIAS_EVENT) {
        fault(r, line, "anchors (&) and aliases (*) are not supported");
    } else {
        fault(r, line,
              e.type == YAML_SEQUENCE_START_EVENT ? "a list is not expected here"
                                                  : "is nested too deeply");
        skip_node(r, &e);
    }
    yaml_event_delete(&e);
}

static void skip_value(reader *r)
{
    yaml_event_t e;
    if (!next(r, &e))
        return;
    skip_node(r, &e);
    yaml_event_delete(&e);
}

/* One name and its value. `key` is the event of the name. */
static void read_pair(reader *r, const yaml_event_t *key, size_t depth)
{
    size_t outer = r->path_len;
    check_decorations(r, key);
    if (key->type != YAML_SCALAR_EVENT) {
        fault(r, line_of(key), "a name must be plain text");
        skip_node(r, key);
        skip_value(r);
    } else if (enter(r, key) && check_new(r, line_of(key))) {
        read_value(r, depth);
    } else {
        skip_value(r);
    }
    r->path_len = outer;
}

/* Behind the start of a mapping, up to its end. */
static void read_mapping(reader *r, size_t depth)
{
    yaml_event_t e;
    while (next(r, &e)) {
        bool is_end = e.type == YAML_MAPPING_END_EVENT;
        if (!is_end)
            read_pair(r, &e, depth);
        yaml_event_delete(&e);
        if (is_end)
            return;
    }
}

/* The root of a document: a mapping, or nothing at all. */
static void read_root(reader *r)
{
    yaml_event_t e;
    if (!next(r, &e))
        return;
    check_decorations(r, &e);
    if (e.type == YAML_MAPPING_START_EVENT) {
        read_mapping(r, 1);
    } else if (e.type != YAML_SCALAR_EVENT || !is_null(&e)) {
        fault(r, line_of(&e), "the file must be a mapping of names to values");
        skip_node(r, &e);
    }
    yaml_event_delete(&e);
}

static void read_stream(reader *r)
{
    size_t documents = 0;
    yaml_event_t e;
    while (next(r, &e)) {
        yaml_event_type_t type = e.type;
        size_t line = line_of(&e);
        yaml_event_delete(&e);
        if (type == YAML_STREAM_END_EVENT)
            return;
        if (type != YAML_DOCUMENT_START_EVENT)
            continue;
        if (documents++ == 0) {
            read_root(r);
        } else {
            fault(r, line, "the file has more than one document");
            return;
        }
    }
}

ex_status config_parse_yaml(ex_slice text, const char *file, config_faults *faults,
                            config_entry_fn *fn, void *ctx, ex_error *err)
{
    reader r = {.file = file, .faults = faults, .fn = fn, .ctx = ctx};
    if (!yaml_parser_initialize(&r.parser))
        return ex_raise(err, EX_ENOMEM, "no memory to read \"%s\"", file);
    ex_map_init(&r.seen, 0);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    read_stream(&r);
    ex_map_done(&r.seen, NULL);
    yaml_parser_delete(&r.parser);
    if (r.status)
        return ex_raise(err, r.status, "no memory to read \"%s\"", file);
    return EX_OK;
}
