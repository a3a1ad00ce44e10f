/* The plain recurrent layer and the LSTM, compiled for every target and dtype. */
#ifndef DLFS_RECURRENT_H
#define DLFS_RECURRENT_H

#include "simd/simd.h"
#include "recurrent/steps.h"
#define DLFS_TILE "recurrent/recurrent_tile.h"
#include "simd/targets.h"

DLFS_STEPS_TABLES
DLFS_KERNEL(rnn)
DLFS_KERNEL(rnn_grad)
DLFS_KERNEL(lstm)
DLFS_KERNEL(lstm_grad)

#endif
