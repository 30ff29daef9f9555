/* An event store inside a program: open it, append an event, read the stream back. No server. */
#include <stdio.h>
#include <excore/store.h>

static ex_status hello(const char *dir, ex_store **store, ex_cursor **cursor, ex_error *err)
{
    const ex_new_event event = {.type = EX_S("OrderPlaced"), .data = EX_S("{\"total_cents\":500}")};
    const ex_stream_write write = {.stream = EX_S("order-1"), .events = &event, .event_count = 1};
    const ex_append append = {.writes = &write, .write_count = 1};
    const ex_read_stream read = {.stream = EX_S("order-1")};
    ex_event e;
    ex_status status;

    if ((status = ex_store_open(dir, NULL, store, err)) != EX_OK ||
        (status = ex_store_append(*store, &append, NULL, err)) != EX_OK ||
        (status = ex_store_read_stream(*store, &read, cursor, err)) != EX_OK)
        return status;
    while ((status = ex_cursor_next(*cursor, &e, err)) == EX_OK)
        printf("%llu %.*s %.*s\n", (unsigned long long)e.version, EX_ARG(e.type), EX_ARG(e.data));
    return status == EX_EEND ? EX_OK : status;
}

int main(int argc, char **argv)
{
    ex_store *store = NULL;
    ex_cursor *cursor = NULL;
    ex_error err;
    ex_status status = hello(argc > 1 ? argv[1] : "./data", &store, &cursor, &err);

    if (status != EX_OK)
        fprintf(stderr, "%s: %s\n", err.code, err.message);
    ex_cursor_close(cursor);
    ex_store_close(store);
    return status == EX_OK ? 0 : 1;
}
