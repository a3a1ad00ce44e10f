/* Gated recurrent units, compiled for every target and dtype. */
#ifndef DLFS_GRU_H
#define DLFS_GRU_H

#include "simd/simd.h"
#include "recurrent/steps.h"
#define DLFS_TILE "recurrent/gru_tile.h"
#include "simd/targets.h"

DLFS_STEPS_TABLES
DLFS_KERNEL(gru)
DLFS_KERNEL(gru_grad)

#endif
