/* Under AddressSanitizer, memory that nobody may touch: what the pool keeps, and the end of a block
 * that is larger than was asked for. Without these marks the pool would hide such mistakes. */
#ifndef DLFS_POISON_H
#define DLFS_POISON_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
static inline void dlfs_forbid(void *p, size_t n) { ASAN_POISON_MEMORY_REGION(p, n); }
static inline void dlfs_allow(void *p, size_t n) { ASAN_UNPOISON_MEMORY_REGION(p, n); }
#else
static inline void dlfs_forbid(void *p, size_t n) { (void)p, (void)n; }
static inline void dlfs_allow(void *p, size_t n) { (void)p, (void)n; }
#endif

#endif
