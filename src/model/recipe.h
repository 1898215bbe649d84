/* recipe.h -- the words of recipes: what each may say and where it goes. */
#ifndef ROB_MODEL_RECIPE_H
#define ROB_MODEL_RECIPE_H

#include "model/model.h"

/* One word's value, at .. end, on its way into a recipe. */
typedef struct rob_value {
    const char *at, *end;
} rob_value;

/* Which architectures know a word: bit `kind`. */
enum {
    ROB_OF_RNN = 1 << ROB_KIND_RNN_TANH | 1 << ROB_KIND_RNN_RELU,
    ROB_OF_RECURRENT = ROB_OF_RNN | 1 << ROB_KIND_LSTM | 1 << ROB_KIND_GRU,
    ROB_OF_TRANSFORMER = 1 << ROB_KIND_TRANSFORMER,
    ROB_OF_BOTH = ROB_OF_RECURRENT | ROB_OF_TRANSFORMER
};

typedef struct rob_word {
    const char *name;
    bool (*read)(rob_value v, rob_recipe *r); /* false: not allowed */
    const char *allowed;
    uint32_t of;
} rob_word;

extern const rob_word rob_priv_word[];
extern const int64_t rob_priv_words;

/* Words for numbers: index in the list is the number, the first of them 0. */
extern const char *const rob_priv_kind_word[];       /* by kind: rnn ... transformer */
extern const char *const rob_priv_readout_word[];    /* last mean max state every cls */
extern const char *const rob_priv_activation_word[]; /* "" none relu tanh gelu */
extern const char *const rob_priv_norm_word[];       /* "" batch layer */
/* the place of a value in such a list of n words, -1: none */
int32_t rob_priv_word_in(rob_value v, const char *const *list, int32_t n);

#endif
