/* fingerprint.c: FNV-1a over bytes and length, with the finaliser of MurmurHash3. */
#include "kernel/fingerprint.h"

#define FNV_PRIME UINT64_C(0x100000001b3)

static uint64_t mix(uint64_t h)
{
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 33;
    h *= UINT64_C(0xc4ceb9fe1a85ec53);
    return h ^ (h >> 33);
}

uint64_t ex_fingerprint(uint64_t fingerprint, ex_slice bytes)
{
    uint64_t h = fingerprint;
    for (size_t i = 0; i < bytes.len; i++)
        h = (h ^ (unsigned char)bytes.ptr[i]) * FNV_PRIME;
    return mix(h ^ bytes.len);
}
