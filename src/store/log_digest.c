/* log_digest.c: the chain of digests over a log; log_digest.h has its form. */
#include "store/log_digest.h"

#include <assert.h>

#include <openssl/evp.h>

#define HEAD_BYTES (8 + 8 + 8 + 4 + 1 + 16)

ex_status ex_log_digest_init(ex_log_digest *d, ex_error *err)
{
    *d = (ex_log_digest){0};
    d->context = EVP_MD_CTX_new();
    d->algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (d->context && d->algorithm)
        return EX_OK;
    bool has_context = d->context != NULL;
    ex_log_digest_done(d);
    return has_context ? ex_raise(err, EX_EINTERNAL, "libcrypto has no SHA-256")
                       : ex_raise(err, EX_ENOMEM, "no memory for a digest");
}

void ex_log_digest_done(ex_log_digest *d)
{
    EVP_MD_CTX_free(d->context);
    EVP_MD_free(d->algorithm);
    d->context = NULL;
    d->algorithm = NULL;
}

static uint8_t *put_number(uint8_t *out, uint64_t n, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--)
        *out++ = (uint8_t)(n >> (8 * i));
    return out;
}

static bool add_bytes(EVP_MD_CTX *context, ex_slice s)
{
    uint8_t length[4];
    assert(s.len <= UINT32_MAX);
    put_number(length, s.len, 4);
    return EVP_DigestUpdate(context, length, sizeof(length)) &&
           (s.len == 0 || EVP_DigestUpdate(context, s.ptr, s.len));
}

static bool add_event(EVP_MD_CTX *context, const ex_event *e)
{
    uint8_t head[HEAD_BYTES], *at = head;
    at = put_number(at, e->position, 8);
    at = put_number(at, e->version, 8);
    at = put_number(at, (uint64_t)e->recorded_at_us, 8);
    at = put_number(at, e->schema_version, 4);
    *at++ = e->id.form;
    memcpy(at, e->id.bytes, sizeof(e->id.bytes));
    return EVP_DigestUpdate(context, head, sizeof(head)) && add_bytes(context, e->stream) &&
           add_bytes(context, e->type) && add_bytes(context, e->content_type) &&
           add_bytes(context, e->correlation_id) && add_bytes(context, e->causation_id) &&
           add_bytes(context, e->tags.packed) && add_bytes(context, e->metadata) &&
           add_bytes(context, e->data);
}

ex_status ex_log_digest_add(ex_log_digest *d, const ex_event *event, ex_error *err)
{
    if (event->position != d->position + 1)
        return ex_raise(err, EX_ECORRUPT, "event %llu follows event %llu in the log",
                        (unsigned long long)event->position, (unsigned long long)d->position);
    if (!EVP_DigestInit_ex(d->context, d->algorithm, NULL) ||
        !EVP_DigestUpdate(d->context, d->bytes, sizeof(d->bytes)) ||
        !add_event(d->context, event) || !EVP_DigestFinal_ex(d->context, d->bytes, NULL))
        return ex_raise(err, EX_EINTERNAL, "libcrypto fails to hash");
    d->position++;
    return EX_OK;
}

bool ex_log_digest_eq(const ex_log_digest *a, const ex_log_digest *b)
{
    return a->position == b->position && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

ex_slice ex_log_digest_text(const ex_log_digest *d, char out[LOG_DIGEST_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(d->bytes); i++) {
        out[2 * i] = hex[d->bytes[i] >> 4];
        out[2 * i + 1] = hex[d->bytes[i] & 15];
    }
    out[LOG_DIGEST_TEXT_SIZE - 1] = '\0';
    return ex_slice_of(out, LOG_DIGEST_TEXT_SIZE - 1);
}
