/* Everything about convolutions that is compiled for each instruction set. */
#include "shuffle.h"
#include "conv_registers.h"
#include "conv_copies.h"
#include "conv_direct.h"
#include "conv_scatter.h"
#include "conv_winograd.h"
#include "conv_peak.h"
