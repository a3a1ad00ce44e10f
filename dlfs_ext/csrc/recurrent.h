/* The plain recurrent layer and the LSTM, compiled for every target and dtype. */
#ifndef DLFS_RECURRENT_H
#define DLFS_RECURRENT_H

#include "simd.h"
#include "steps.h"
#define DLFS_TILE "recurrent_tile.h"
#include "targets.h"

DLFS_STEPS_TABLES
DLFS_TABLE_OF(sequences_fn, rnn)
DLFS_TABLE_OF(sequences_fn, rnn_grad)
DLFS_TABLE_OF(sequences_fn, lstm)
DLFS_TABLE_OF(sequences_fn, lstm_grad)

#endif
