/* query_check.c: checks of names, tags and queries. */
#include "store/query_check.h"

#include <excore/json.h>

#include "kernel/field_path.h"

/* Printable ASCII is by far the most frequent name: eight bytes at a time decide. */
static bool has_only_printable_ascii(ex_slice s)
{
    static const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    size_t i = 0;
    for (uint64_t word; s.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, s.ptr + i, sizeof(word));
        uint64_t del = word ^ (ones * 0x7f);
        /* a byte's top bit: it is no ASCII, below 0x20, or 0x7f; a borrow only adds such bytes */
        if ((word | (word - ones * 0x20) | (del - ones)) & tops)
            return false;
    }
    for (; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || (unsigned char)s.ptr[i] > 0x7e)
            return false;
    return true;
}

/* C0, DEL, and C1 (U+0080 to U+009F: C2 80 to C2 9F). */
static bool has_control(ex_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char b = (unsigned char)s.ptr[i];
        if (b < 0x20 || b == 0x7f)
            return true;
        if (b == 0xc2 && i + 1 < s.len && (unsigned char)s.ptr[i + 1] < 0xa0)
            return true;
    }
    return false;
}

ex_status store_name_check(ex_slice name, const char *what, ex_error *err)
{
    const char *fault = NULL;
    if (name.len == 0)
        fault = "is empty";
    else if (name.len > EX_STREAM_NAME_MAX)
        fault = "is longer than 255 bytes";
    else if (has_only_printable_ascii(name))
        return EX_OK;
    else if (!ex_utf8_is_valid(name))
        fault = "is not valid UTF-8";
    else if (has_control(name))
        fault = "holds a control character";
    else
        return EX_OK;
    /* "stream is empty" would be heard as a stream without events */
    bool is_thing = strcmp(what, "stream") == 0 || strcmp(what, "type") == 0;
    (void)ex_raise(err, EX_EINVAL, "%s%s %s", what, is_thing ? " name" : "", fault);
    ex_error_set_field(err, ex_str(what));
    return EX_EINVAL;
}
_Static_assert(EX_STREAM_NAME_MAX == 255 && EX_TYPE_NAME_MAX == 255 && EX_TAG_MAX == 255 &&
                   EX_CORRELATION_MAX == 255,
               "store_name_check has one limit for all names");

ex_status store_tag_check(ex_slice tag, ex_error *err)
{
    ex_status st = store_name_check(tag, "tag", err);
    if (st)
        return st;
    const char *colon = memchr(tag.ptr, ':', tag.len);
    if (colon && colon != tag.ptr && colon != tag.ptr + tag.len - 1)
        return EX_OK;
    (void)ex_raise(err, EX_EINVAL, "tag '%.*s' does not have the form key:value", EX_ARG(tag));
    ex_error_set_field(err, EX_S("tag"));
    return EX_EINVAL;
}

/* The path of what `st` refused. */
static ex_status name_fault(ex_status st, const char *list, uint32_t index, ex_error *err)
{
    if (st) {
        ex_error_set_field(err, EX_S(""));
        ex_field_prefix_at(err, list, index);
    }
    return st;
}

static ex_status check_item(const ex_query_item *item, ex_error *err)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < item->type_count; i++)
        st = name_fault(store_name_check(item->types[i], "type", err), "types", i, err);
    for (uint32_t i = 0; st == EX_OK && i < item->tag_count; i++)
        st = name_fault(store_tag_check(item->tags[i], err), "tags", i, err);
    return st;
}

ex_status filter_check(const ex_filter *filter, ex_error *err)
{
    const ex_query *query = &filter->query;
    uint64_t names = filter->stream_count;
    if (query->item_count > QUERY_ITEMS_MAX)
        return ex_raise(err, EX_EINVAL, "a query has at most %d items, not %u", QUERY_ITEMS_MAX,
                        query->item_count);
    for (uint32_t i = 0; i < query->item_count; i++)
        names += (uint64_t)query->items[i].type_count + query->items[i].tag_count;
    if (names > QUERY_NAMES_MAX)
        return ex_raise(err, EX_EINVAL, "a filter has at most %d names, not %llu", QUERY_NAMES_MAX,
                        (unsigned long long)names);
    ex_status st = EX_OK;
    for (uint32_t i = 0; st == EX_OK && i < filter->stream_count; i++)
        st = name_fault(store_name_check(filter->streams[i], "stream", err), "streams", i, err);
    if (st == EX_OK && filter->correlation_id.len)
        st = store_name_check(filter->correlation_id, "correlation_id", err);
    for (uint32_t i = 0; st == EX_OK && i < query->item_count; i++)
        if ((st = check_item(&query->items[i], err)))
            ex_field_prefix_at(err, "items", i);
    return st;
}

ex_status query_check(const ex_query *query, ex_error *err)
{
    ex_filter filter = {.query = *query};
    return filter_check(&filter, err);
}
