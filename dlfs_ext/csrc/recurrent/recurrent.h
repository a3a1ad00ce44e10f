/* Recurrent layers, compiled for every target and dtype. */
#ifndef DLFS_RECURRENT_H
#define DLFS_RECURRENT_H

#include "simd/simd.h"
#include "recurrent/steps.h"
#define DLFS_TILE "recurrent/recurrent_tiles.h"
#include "simd/targets.h"

DLFS_TABLE(pack_panels)
DLFS_KERNEL(weight_grad)
DLFS_KERNEL(rnn)
DLFS_KERNEL(rnn_grad)
DLFS_KERNEL(lstm)
DLFS_KERNEL(lstm_grad)
DLFS_KERNEL(gru)
DLFS_KERNEL(gru_grad)

#endif
