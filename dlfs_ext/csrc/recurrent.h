/* The plain recurrent layer and the LSTM, compiled for every target and dtype. */
#ifndef DLFS_RECURRENT_H
#define DLFS_RECURRENT_H

#include "simd.h"
#include "steps.h"
#define DLFS_TILE "recurrent_tile.h"
#include "targets.h"

DLFS_STEPS_TABLES
DLFS_KERNEL(rnn)
DLFS_KERNEL(rnn_grad)
DLFS_KERNEL(lstm)
DLFS_KERNEL(lstm_grad)

#endif
