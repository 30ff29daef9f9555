/* view_definition.c: see view_definition.h. */
#include "runtime/view_definition.h"

#include "kernel/fingerprint.h"
#include "runtime/type_field.h"

#include <elf.h>
#include <link.h>
#include <stdio.h>

/* ---- What is declared ---- */

static uint64_t add_text(uint64_t h, const char *text)
{
    return ex_fingerprint(h, ex_str(text));
}

static uint64_t add_u64(uint64_t h, uint64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n); /* fits */
    return add_text(h, text);
}

static uint64_t add_double(uint64_t h, double n)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%.17g", n == 0 ? 0.0 : n); /* fits */
    return add_text(h, text);
}

static uint64_t add_enum(uint64_t h, const ex_enum_type *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        h = add_text(h, e->names[i]);
    return add_u64(h, e->count);
}

static uint64_t add_type(uint64_t h, const ex_type *type, uint32_t depth);

static uint64_t add_field(uint64_t h, const ex_field *f, uint32_t depth)
{
    h = add_text(h, f->name);
    h = add_u64(h, (uint64_t)f->kind << 1 | f->is_key);
    h = type_has_min(f) ? add_double(h, type_min(f)) : add_text(h, "-");
    h = type_has_max(f) ? add_double(h, f->max) : add_text(h, "-");
    h = add_u64(add_u64(h, f->min_len), f->max_len);
    h = add_u64(add_u64(h, f->min_items), f->max_items);
    h = add_text(h, f->format);
    h = f->enum_type ? add_enum(h, f->enum_type) : h;
    return f->type && depth < TYPE_DEPTH_MAX ? add_type(h, f->type, depth + 1) : h;
}

static uint64_t add_type(uint64_t h, const ex_type *type, uint32_t depth)
{
    h = add_u64(add_text(h, type->name), type->schema_version);
    for (uint32_t i = 0; i < type->field_count; i++)
        h = add_field(h, &type->fields[i], depth);
    return h;
}

uint64_t view_definition_of(const ex_view_def *def)
{
    uint64_t sum = 0; /* of one number for each: their order means nothing */
    for (uint32_t i = 0; i < def->table_count; i++)
        sum += add_type(add_text(EX_FINGERPRINT_START, "table"), def->tables[i].row, 0);
    for (uint32_t i = 0; i < def->event_count; i++)
        sum += add_type(add_text(EX_FINGERPRINT_START, "event"), def->events[i].type, 0);
    return sum ? sum : 1;
}

/* ---- Which build ---- */

typedef struct search {
    uintptr_t address;
    char *ret;
} search;

/* Name and description of a note are padded to 4 bytes. */
#define PADDED(n) (((size_t)(n) + 3) & ~(size_t)3)

static void read_notes(const char *at, size_t size, char ret[VIEW_BUILD_SIZE])
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof(note));
        const char *name = at + sizeof(note);
        size_t whole = sizeof(note) + PADDED(note.n_namesz) + PADDED(note.n_descsz);
        if (whole > size)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(name, "GNU", 4) == 0) {
            const unsigned char *id = (const unsigned char *)name + PADDED(note.n_namesz);
            for (size_t i = 0; i < note.n_descsz && 2 * i + 2 < VIEW_BUILD_SIZE; i++)
                (void)snprintf(ret + 2 * i, 3, "%02x", id[i]); /* fits */
            return;
        }
        at += whole;
        size -= whole;
    }
}

static bool holds(const struct dl_phdr_info *object, uintptr_t address)
{
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &object->dlpi_phdr[i];
        uintptr_t begin = object->dlpi_addr + h->p_vaddr;
        if (h->p_type == PT_LOAD && address >= begin && address - begin < h->p_memsz)
            return true;
    }
    return false;
}

static int look_at(struct dl_phdr_info *object, size_t size, void *ctx)
{
    const search *s = ctx;
    (void)size;
    if (!holds(object, s->address))
        return 0;
    for (int i = 0; i < object->dlpi_phnum && !s->ret[0]; i++) {
        const ElfW(Phdr) *h = &object->dlpi_phdr[i];
        if (h->p_type == PT_NOTE)
            read_notes((const char *)object->dlpi_addr + h->p_vaddr, h->p_memsz, s->ret);
    }
    return 1;
}

void view_build_of(const ex_view_def *def, char ret[VIEW_BUILD_SIZE])
{
    ret[0] = '\0';
    if (def->event_count == 0)
        return;
    search s = {.ret = ret};
    memcpy(&s.address, &def->events[0].when, sizeof(s.address));
    (void)dl_iterate_phdr(look_at, &s); /* what it found is in ret */
}
