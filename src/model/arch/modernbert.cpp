// ModernBERT (https://arxiv.org/abs/2412.13663): norms before each block, rotary positions with one base for global and
// one for local layers, GeGLU, no biases.
#include "model/arch/encoder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::modernbert {
namespace {

struct LayerKinds {
  std::vector<bool> local;
  int64_t window = 0;  // of local layers
  ops::Rope global_rope, local_rope;
};

LayerKinds read_kinds(ModelBuilder& b, const EncoderFields& f) {
  LayerKinds kinds;
  const auto types = b.config().get_strings("layer_types");
  const int64_t every = b.int_or({"global_attn_every_n_layers"}, 3);
  if (types && static_cast<int64_t>(types->size()) != f.n_layers)
    b.fail(invalid_argument("config: layer_types has " + std::to_string(types->size()) + " entries for " +
                            std::to_string(f.n_layers) + " layers"));
  for (int64_t layer = 0; layer < f.n_layers && b.status().ok(); ++layer) {
    kinds.local.push_back(types ? (*types)[static_cast<size_t>(layer)] == "sliding_attention" : layer % every != 0);
  }
  kinds.window = b.int_or({"local_attention"}, 128);
  kinds.global_rope = read_rope(b, f.head_dim, f.max_positions,
                                {.theta = 160000, .layer_type = "full_attention", .theta_key = "global_rope_theta"});
  kinds.local_rope =
      read_rope(b, f.head_dim, f.max_positions, {.layer_type = "sliding_attention", .theta_key = "local_rope_theta"});
  return kinds;
}

Value feed_forward(ModelBuilder& b, Value x, const std::string& p, const EncoderFields& f) {
  const Value both = encoder_linear(b, x, p + "mlp.Wi", 2 * f.feed_forward);
  const Value gate = ops::slice(b.graph(), both, 0, f.feed_forward);
  const Value up = ops::slice(b.graph(), both, f.feed_forward, 2 * f.feed_forward);
  return encoder_linear(b, ops::gated(b.graph(), gate, up, f.activation), p + "mlp.Wo", f.hidden);
}

void add_head(ModelBuilder& b, const Checkpoint& checkpoint, Value x, const EncoderFields& f) {
  Graph& g = b.graph();
  const std::string pooling = b.config().get_string("classifier_pooling").value_or("cls");
  const std::string function = b.activation_or({"classifier_activation"}, "gelu");
  if (pooling != "cls" && pooling != "mean")
    return b.fail(invalid_argument("config: classifier_pooling \"" + pooling + "\" is unknown"));
  const Value pooled = ops::pool(g, x, pooling == "cls" ? "first" : "mean");
  const Value inner = ops::activate(g, encoder_linear(b, pooled, "head.dense", f.hidden), function);
  add_score(b, checkpoint, encoder_norm(b, inner, "head.norm", f), "classifier");
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  EncoderFields f = encoder_fields(b);
  f.norm_eps = b.number_or({"norm_eps"}, 1e-5);
  f.n_token_types = 0;
  const LayerKinds kinds = read_kinds(b, f);
  if (!b.status().ok()) return b.status();

  const std::string prefix = b.prefix_of({"model.", ""}, "embeddings.tok_embeddings.weight");
  Value x = b.embed(prefix + "embeddings.tok_embeddings", f.vocab, f.hidden, b.ids());
  x = encoder_norm(b, x, prefix + "embeddings.norm", f);
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = prefix + "layers." + std::to_string(layer) + ".";
    const bool local = kinds.local[static_cast<size_t>(layer)];
    const Value h = layer == 0 ? x : encoder_norm(b, x, p + "attn_norm", f);
    const Value all = encoder_linear(b, h, p + "attn.Wqkv", 3 * f.hidden);
    const auto part = [&](int64_t i) { return ops::slice(g, all, i * f.hidden, (i + 1) * f.hidden); };
    const Value a = encoder_attention(b, part(0), part(1), part(2), f, local ? &kinds.local_rope : &kinds.global_rope,
                                      local ? kinds.window : 0);
    x = ops::add(g, x, encoder_linear(b, a, p + "attn.Wo", f.hidden));
    x = ops::add(g, x, feed_forward(b, encoder_norm(b, x, p + "mlp_norm", f), p, f));
    b.end_layer(layer, x);
  }
  x = encoder_norm(b, x, prefix + "final_norm", f);
  if (b.has("classifier.weight")) add_head(b, checkpoint, x, f);
  return finish_encoder(b, x, f);
}

}  // namespace strata::modernbert
