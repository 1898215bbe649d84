/* tape_words.h -- operators of the tape by name. */
#ifndef ROB_TAPE_WORDS_H
#define ROB_TAPE_WORDS_H

#include "op/op.h"

/* Record `name` on `in`; failures are latched in g and ROB_NONE answered. */
rob_id rob_priv_tape_word(rob_graph *g, const char *name, const rob_id *in, int32_t ins,
                          const double *number, int32_t numbers);

#endif
