/* Marks memory as inaccessible for AddressSanitizer: the pool's free blocks, and the unused end of
 * a block. Without these marks the pool would hide invalid accesses. */
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
