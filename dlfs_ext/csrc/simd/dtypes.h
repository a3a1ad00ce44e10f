/* Includes DLFS_TILE for float and for double, for the target that targets.h has set; then unsets
 * it. */

#define DLFS_DTYPE f32
#define DLFS_F64 0
#define real NAME(real)
#define vec NAME(vec)
#define ivec NAME(ivec)
#define inte NAME(inte)
typedef float real;
typedef int32_t inte;
#include "simd/vec.h"
#include DLFS_TILE
#undef DLFS_DTYPE
#undef DLFS_F64

#define DLFS_DTYPE f64
#define DLFS_F64 1
typedef double real;
typedef int64_t inte;
#include "simd/vec.h"
#include DLFS_TILE
#undef DLFS_DTYPE
#undef DLFS_F64

#undef real
#undef vec
#undef ivec
#undef inte

#undef DLFS_TARGET
#undef DLFS_LEVEL
#undef VBYTES
#undef VREGS
