/* guard.c: see guard.h. */
#include "api/http/guard.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define NAME_MAX_BYTES 255
#define SHOWN_BYTES    100 /* of what the client sent, in a message */

/* ---- Names ---- */

static bool is_caseless(ex_slice a, ex_slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

static bool ends_caseless(ex_slice s, ex_slice end)
{
    return s.len > end.len && is_caseless(ex_slice_of(s.ptr + s.len - end.len, end.len), end);
}

/* "name:port", "name." or "[v6]:port" → the name, without the brackets. */
static ex_slice host_name(ex_slice authority)
{
    if (authority.len && authority.ptr[0] == '[') {
        const char *end = memchr(authority.ptr, ']', authority.len);
        return end ? ex_slice_of(authority.ptr + 1, (size_t)(end - authority.ptr - 1))
                   : (ex_slice){NULL, 0};
    }
    const char *colon = authority.len ? memchr(authority.ptr, ':', authority.len) : NULL;
    size_t len = colon ? (size_t)(colon - authority.ptr) : authority.len;
    if (len && authority.ptr[len - 1] == '.')
        len--;
    return ex_slice_of(authority.ptr, len);
}

/* A name can be made to lead here by whoever owns it; an address cannot. */
static bool is_address(ex_slice name)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    struct in_addr v4;
    if (name.len == 0 || name.len >= sizeof(text))
        return false;
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    return inet_pton(AF_INET, text, &v4) == 1 || inet_pton(AF_INET6, text, &v6) == 1;
}

static bool is_loopback(ex_slice name)
{
    return is_caseless(name, EX_S("localhost")) || ends_caseless(name, EX_S(".localhost")) ||
           ex_slice_is(name, "::1") || (is_address(name) && ex_slice_starts(name, EX_S("127.")));
}

static bool is_listed(const guard *g, ex_slice name)
{
    for (uint32_t i = 0; i < g->name_count; i++) {
        ex_slice known = g->names[i];
        bool is_pattern = known.len > 1 && known.ptr[0] == '*';
        if (is_pattern ? ends_caseless(name, ex_slice_of(known.ptr + 1, known.len - 1))
                       : is_caseless(name, known))
            return true;
    }
    return false;
}

static bool knows(const guard *g, ex_slice name)
{
    return g->knows_any || is_address(name) || is_loopback(name) || is_listed(g, name);
}

/* ---- Life ---- */

/* A name, an address, or *.name; a port would never be looked at. */
static bool is_entry(ex_slice s)
{
    if (is_address(s))
        return true;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_star = c == '*' && i == 0 && s.len > 2 && s.ptr[1] == '.';
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_' || is_star))
            return false;
    }
    return s.len > 0 && s.len <= NAME_MAX_BYTES;
}

static ex_status add_names(guard *g, ex_slice list, ex_error *err)
{
    static const char blanks[] = " \t,";
    for (size_t at = 0; at < list.len;) {
        while (at < list.len && memchr(blanks, list.ptr[at], sizeof(blanks) - 1))
            at++;
        size_t start = at;
        while (at < list.len && !memchr(blanks, list.ptr[at], sizeof(blanks) - 1))
            at++;
        ex_slice name = ex_slice_of(list.ptr + start, at - start);
        if (name.len == 0)
            break;
        if (ex_slice_is(name, "*")) {
            g->knows_any = true;
            continue;
        }
        if (!is_entry(name))
            return ex_raise(
                err, EX_EINVAL,
                "\"%.*s\" is not the name of a host: name, *.name or * (without a port)",
                EX_ARG(name));
        g->names[g->name_count++] = name;
    }
    return EX_OK;
}

/* A server that others reach is reached by the name of its machine, too. */
static void own_name(const http_options *o, char *out, size_t size)
{
    out[0] = '\0';
    if (is_loopback(ex_str(o->host)) || gethostname(out, size) != 0)
        out[0] = '\0';
    out[size - 1] = '\0';
}

ex_status guard_init(guard *g, const http_options *options, ex_error *err)
{
    *g = (guard){.is_on = options->hosts != NULL};
    if (!options->hosts)
        return EX_OK;
    char machine[NAME_MAX_BYTES + 1];
    own_name(options, machine, sizeof(machine));
    size_t size = strlen(options->hosts) + strlen(options->host) + sizeof(machine) + 3;
    g->text = malloc(size);
    g->names = calloc(size, sizeof(*g->names)); /* more than there can be */
    if (!g->text || !g->names) {
        guard_done(g);
        return ex_raise(err, EX_ENOMEM, "the names of the server");
    }
    size_t length = strlen(options->hosts);
    memcpy(g->text, options->hosts, length);
    ex_status status = add_names(g, ex_slice_of(g->text, length), err);
    const char *const own[] = {options->host, machine};
    for (size_t i = 0; i < 2 && !status; i++) {
        ex_slice name = ex_slice_of(g->text + length, strlen(own[i]));
        memcpy(g->text + length, own[i], name.len);
        length += name.len;
        if (is_entry(name))
            g->names[g->name_count++] = name;
    }
    if (status)
        guard_done(g);
    return status;
}

void guard_done(guard *g)
{
    free(g->text);
    free(g->names);
    *g = (guard){0};
}

/* ---- A request ---- */

static ex_status unknown_host(ex_slice authority, ex_error *err)
{
    ex_status s =
        ex_raise(err, EX_EINVAL,
                 "this server does not know itself as \"%.*s\"; if it should, name it in "
                 "server.hosts (EXCORE_SERVER_HOSTS)",
                 (int)(authority.len < SHOWN_BYTES ? authority.len : SHOWN_BYTES), authority.ptr);
    if (err)
        err->http_status = 421;
    ex_error_set_code(err, "UNKNOWN_HOST");
    ex_error_set_field(err, EX_S("Host"));
    return s;
}

/* "scheme://host:port" → host:port; empty for "null" and what is none. */
static ex_slice origin_authority(ex_slice origin)
{
    const char *mark = origin.len ? memmem(origin.ptr, origin.len, "://", 3) : NULL;
    if (!mark)
        return (ex_slice){NULL, 0};
    return ex_slice_of(mark + 3, (size_t)(origin.ptr + origin.len - mark - 3));
}

/* Its own pages may ask the server for anything: those of the name under which it was asked, of
 * this machine when it was asked on this machine, and of the names in the configuration. */
static bool is_own_origin(const guard *g, ex_slice origin, ex_slice host)
{
    ex_slice from = host_name(origin_authority(origin)), to = host_name(host);
    if (from.len == 0)
        return false;
    return g->knows_any || is_caseless(from, to) || is_listed(g, from) ||
           (is_loopback(from) && is_loopback(to));
}

static ex_status check_origin(const guard *g, const http_exchange *x, ex_slice host, ex_error *err)
{
    ex_slice origin = http_header(x, "origin");
    bool is_foreign = origin.ptr ? !is_own_origin(g, origin, host)
                                 : ex_slice_is(http_header(x, "sec-fetch-site"), "cross-site");
    if (!is_foreign)
        return EX_OK;
    ex_status s = ex_raise(
        err, EX_EFORBIDDEN,
        "a page of another origin (%.*s) may not change anything here; if it may, name its "
        "host in server.hosts",
        origin.ptr ? (int)(origin.len < SHOWN_BYTES ? origin.len : SHOWN_BYTES) : 10,
        origin.ptr ? origin.ptr : "cross-site");
    ex_error_set_code(err, "FOREIGN_ORIGIN");
    ex_error_set_field(err, origin.ptr ? EX_S("Origin") : EX_S("Sec-Fetch-Site"));
    return s;
}

/* What a form sends, or a script without asking first: these types, or none. */
static bool is_form_type(ex_slice type)
{
    static const char *const types[] = {"application/x-www-form-urlencoded", "multipart/form-data",
                                        "text/plain"};
    size_t len = 0;
    while (len < type.len && type.ptr[len] != ';' && type.ptr[len] != ',')
        len++;
    while (len && (type.ptr[len - 1] == ' ' || type.ptr[len - 1] == '\t'))
        len--;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (is_caseless(ex_slice_of(type.ptr, len), ex_str(types[i])))
            return true;
    return len == 0;
}

static ex_status check_form(const http_exchange *x, ex_error *err)
{
    if (!is_form_type(http_header(x, "content-type")) || http_header(x, "idempotency-key").ptr ||
        http_header(x, "ce-specversion").ptr || http_header(x, "x-requested-with").ptr)
        return EX_OK;
    ex_status s = ex_raise(
        err, EX_EMEDIATYPE,
        "a form could have sent this: send \"Content-Type: application/json\", also without "
        "a body, or the header Idempotency-Key or X-Requested-With");
    ex_error_set_field(err, EX_S("Content-Type"));
    return s;
}

static bool is_change(const http_exchange *x)
{
    http_method m = http_request_method(x);
    return m != HTTP_GET_ && m != HTTP_HEAD_ && m != HTTP_OPTIONS_;
}

ex_status guard_check_host(const guard *g, const http_exchange *x, ex_error *err)
{
    ex_slice host = http_header(x, "host");
    bool is_known =
        !g->is_on || !host.ptr /* HTTP/1.0 may have none */ || knows(g, host_name(host));
    return is_known ? EX_OK : unknown_host(host, err);
}

ex_status guard_check_change(const guard *g, const http_exchange *x, ex_error *err)
{
    if (!g->is_on || !is_change(x))
        return EX_OK;
    ex_status s = check_origin(g, x, http_header(x, "host"), err);
    return s ? s : check_form(x, err);
}
