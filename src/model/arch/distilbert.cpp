// DistilBERT (https://arxiv.org/abs/1910.01108): BERT's block without token types and pooler, under names of its own.
#include "model/arch/encoder.h"
#include "model/arch/models.h"

namespace strata::distilbert {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  EncoderFields f = encoder_fields(b);
  f.n_token_types = 0;
  f.norm_eps = 1e-12;  // not a field of the configuration
  if (!b.status().ok()) return b.status();
  const std::string prefix = b.prefix_of({"distilbert.", ""}, "embeddings.word_embeddings.weight");
  Value x = encoder_norm(b, encoder_embeddings(b, prefix + "embeddings.", f), prefix + "embeddings.LayerNorm", f);
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = prefix + "transformer.layer." + std::to_string(layer) + ".";
    const auto project = [&](const char* name) { return encoder_linear(b, x, p + "attention." + name, f.hidden); };
    const Value a = encoder_attention(b, project("q_lin"), project("k_lin"), project("v_lin"), f);
    x = encoder_norm(b, ops::add(g, x, encoder_linear(b, a, p + "attention.out_lin", f.hidden)), p + "sa_layer_norm",
                     f);
    const Value inner = ops::activate(g, encoder_linear(b, x, p + "ffn.lin1", f.feed_forward), f.activation);
    x = encoder_norm(b, ops::add(g, x, encoder_linear(b, inner, p + "ffn.lin2", f.hidden)), p + "output_layer_norm", f);
    b.end_layer(layer, x);
  }
  if (b.has("pre_classifier.weight")) {
    const Value pooled = encoder_linear(b, ops::pool(g, x, "first"), "pre_classifier", f.hidden);
    add_score(b, checkpoint, ops::activate(g, pooled, "relu"), "classifier");
  }
  return finish_encoder(b, x, f);
}

}  // namespace strata::distilbert
