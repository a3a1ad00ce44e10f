/* Recurrent layers, compiled for every target and dtype. */
#ifndef DLFS_RECURRENT_H
#define DLFS_RECURRENT_H

#include "simd/simd.h"
#include "recurrent/steps.h"
#define DLFS_TILE "recurrent/recurrent_tiles.h"
#include "simd/targets.h"

DLFS_TABLE(pack_panels)
DLFS_KERNEL_WITH(weight_grad, weight_grad_scratch)
DLFS_KERNEL_WITH(rnn, rnn_scratch)
DLFS_KERNEL_WITH(rnn_grad, rnn_grad_scratch)
DLFS_KERNEL_WITH(lstm, lstm_scratch)
DLFS_KERNEL_WITH(lstm_grad, lstm_grad_scratch)
DLFS_KERNEL_WITH(gru, gru_scratch)
DLFS_KERNEL_WITH(gru_grad, gru_grad_scratch)

#endif
