/* sanitizer.h: what AddressSanitizer is told about memory that is ours; nothing in other builds. */
#ifndef EXCORE_KERNEL_SANITIZER_H
#define EXCORE_KERNEL_SANITIZER_H

#if defined(__SANITIZE_ADDRESS__)
#define EX_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EX_HAS_ASAN 1
#endif
#endif

#ifdef EX_HAS_ASAN
#include <sanitizer/asan_interface.h>
#define EX_POISON(ptr, size)   ASAN_POISON_MEMORY_REGION((ptr), (size))
#define EX_UNPOISON(ptr, size) ASAN_UNPOISON_MEMORY_REGION((ptr), (size))
#else
#define EX_HAS_ASAN            0
#define EX_POISON(ptr, size)   ((void)(ptr), (void)(size))
#define EX_UNPOISON(ptr, size) ((void)(ptr), (void)(size))
#endif

#endif
