/* All tile headers of the recurrent layers. */
#include "recurrent/steps_tile.h"
#include "recurrent/recurrent_tile.h"
#include "recurrent/gru_tile.h"
