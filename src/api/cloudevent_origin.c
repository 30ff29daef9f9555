/* cloudevent_origin.c: see cloudevent_origin.h. */
#include "api/cloudevent_origin.h"

#include <excore/json.h>

#include <openssl/evp.h>

#define SHA1_BYTES 20

/* Ours alone; it never changes, or a repeated CloudEvent would be another event. */
static const uint8_t name_space[16] = {0x5f, 0x0c, 0x1d, 0x8e, 0x6f, 0x4d, 0x4c, 0x51,
                                       0x9e, 0x8b, 0x2a, 0x77, 0x0b, 0x3e, 0x94, 0xd2};

ex_status cloudevent_id(ex_slice source, ex_slice id, ex_id *ret, ex_error *err)
{
    if (ex_id_parse(id, ret, NULL) == EX_OK && !ex_id_is_nil(ret))
        return EX_OK;
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = context && EVP_DigestInit_ex(context, EVP_sha1(), NULL) &&
                   EVP_DigestUpdate(context, name_space, sizeof(name_space)) &&
                   EVP_DigestUpdate(context, source.ptr, source.len) &&
                   EVP_DigestUpdate(context, "", 1) && EVP_DigestUpdate(context, id.ptr, id.len) &&
                   EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    if (!is_done)
        return ex_raise(err, EX_EINTERNAL, "there is no SHA-1 for the id of a CloudEvent");
    *ret = (ex_id){.form = EX_ID_UUID};
    memcpy(ret->bytes, digest, sizeof(ret->bytes));
    ret->bytes[6] = (uint8_t)((ret->bytes[6] & 0x0f) | 0x50);
    ret->bytes[8] = (uint8_t)((ret->bytes[8] & 0x3f) | 0x80);
    return EX_OK;
}

cloudevent_origin cloudevent_origin_of(const ex_event *event, ex_arena *arena)
{
    cloudevent_origin ret = {0};
    ex_json metadata;
    ex_slice text = event->metadata;
    if (text.len == 0 || !memmem(text.ptr, text.len, "\"cloudevent\"", 12) ||
        ex_json_parse(text, arena, NULL, &metadata, NULL) || metadata.kind != EX_JSON_OBJECT)
        return ret;
    const ex_json *kept = ex_json_get(&metadata, CLOUDEVENT_KEY);
    if (!kept || kept->kind != EX_JSON_OBJECT)
        return ret;
    const ex_json *id = ex_json_get(kept, EX_S("id")), *source = ex_json_get(kept, EX_S("source"));
    const ex_json *no_data = ex_json_get(kept, CLOUDEVENT_NO_DATA);
    ret.has_no_data = no_data && no_data->kind == EX_JSON_BOOL && no_data->as.boolean;
    ex_id of_text;
    bool has_both = id && id->kind == EX_JSON_STRING && source && source->kind == EX_JSON_STRING;
    if (has_both && cloudevent_id(source->as.text, id->as.text, &of_text, NULL) == EX_OK &&
        ex_id_eq(&of_text, &event->id)) {
        ret.id = id->raw;
        ret.source = source->raw;
    }
    return ret;
}
