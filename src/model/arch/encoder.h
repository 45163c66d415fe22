// What encoder architectures share: their fields in every published spelling, the blocks that several have, and the
// outputs of all: one row per sequence, "cls" (first token), "mean" and "last" of the final hidden states, where the
// model has them "pooler" and "score" [S, n_labels].
#pragma once

#include <string>

#include "model/arch/model_builder.h"

namespace strata {

struct EncoderFields {
  int64_t vocab = 0, hidden = 0, n_layers = 0, n_heads = 0, head_dim = 0, feed_forward = 0, max_positions = 0,
          n_token_types = 0;
  double norm_eps = 1e-12;
  std::string activation = "gelu";
  int32_t padding_id = -1;  // ModelConfig::padding_id
};
EncoderFields encoder_fields(ModelBuilder& b);

// With a bias where the checkpoint has one.
Value encoder_linear(ModelBuilder& b, Value x, const std::string& name, int64_t n);
Value encoder_norm(ModelBuilder& b, Value x, const std::string& name, const EncoderFields& f);

// Word, token type and position embeddings as far as the tensors "<prefix><kind>_embeddings.weight" exist, summed.
Value encoder_embeddings(ModelBuilder& b, const std::string& prefix, const EncoderFields& f);

// Self-attention in both directions of q, k and v [T, hidden]; q and k are rotated where there is a rope. `window`: 0,
// or the width of a local layer.
Value encoder_attention(ModelBuilder& b, Value q, Value k, Value v, const EncoderFields& f,
                        const ops::Rope* rope = nullptr, int64_t window = 0);

// BERT's stack: embeddings with a norm, then layers of attention and feed-forward with the norm after each sum.
Value bert_stack(ModelBuilder& b, const std::string& prefix, const EncoderFields& f);
// tanh(dense(first token)), BERT's pooler.
Value tanh_pooler(ModelBuilder& b, Value x, const std::string& name, const EncoderFields& f);
// "score" of pooled rows: a linear layer, as many labels as it has rows.
void add_score(ModelBuilder& b, const Checkpoint& checkpoint, Value pooled, const std::string& name);

// Adds the pooled outputs and gives the model.
Result<BuiltModel> finish_encoder(ModelBuilder& b, Value hidden, const EncoderFields& f);

}  // namespace strata
