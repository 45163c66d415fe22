// NomicBERT (https://arxiv.org/abs/2402.01613): BERT with rotary positions, a gated feed-forward and, as published, no
// biases. Files have the names of the published code (Wqkv, fc11 and fc12) or those of transformers.
#include <algorithm>

#include "model/arch/encoder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::nomic_bert {
namespace {

struct Projected {
  Value q, k, v;
};

Projected project(ModelBuilder& b, Value x, const std::string& p, const EncoderFields& f) {
  if (!b.has(p + "attn.Wqkv.weight")) {
    const auto one = [&](const char* name) { return encoder_linear(b, x, p + "self_attn." + name, f.hidden); };
    return {one("q_proj"), one("k_proj"), one("v_proj")};
  }
  const Value all = encoder_linear(b, x, p + "attn.Wqkv", 3 * f.hidden);
  const auto part = [&](int64_t i) { return ops::slice(b.graph(), all, i * f.hidden, (i + 1) * f.hidden); };
  return {part(0), part(1), part(2)};
}

// swiglu, geglu and glu name the gate's function in the published code; its feed-forward without a gate is fc1, fc2.
Value feed_forward(ModelBuilder& b, Value x, const std::string& p, const EncoderFields& f,
                   const std::string& function) {
  const bool published = b.has(p + "mlp.fc11.weight");
  const Value up = encoder_linear(b, x, p + (published ? "mlp.fc11" : "mlp.up_proj"), f.feed_forward);
  const Value gate = encoder_linear(b, x, p + (published ? "mlp.fc12" : "mlp.gate_proj"), f.feed_forward);
  return encoder_linear(b, ops::gated(b.graph(), gate, up, function), p + (published ? "mlp.fc2" : "mlp.down_proj"),
                        f.hidden);
}

std::string gate_function(ModelBuilder& b, const EncoderFields& f) {
  if (!b.config().has("activation_function")) return b.config().has("hidden_act") ? f.activation : "silu";
  const std::string name = b.config().get_string("activation_function").value_or("");
  if (name == "swiglu") return "silu";
  if (name == "geglu") return "gelu";
  if (name == "glu") return "sigmoid";
  b.fail(invalid_argument("config: activation_function \"" + name + "\" is not supported (swiglu, geglu and glu are)"));
  return "silu";
}

ops::Rope rope_of(ModelBuilder& b, EncoderFields& f) {
  // Dynamic scaling changes nothing up to the trained length, which is where the input ends.
  if (b.config().has("rotary_scaling_factor"))
    f.max_positions = std::min(f.max_positions, b.int_or({"max_trained_positions"}, 2048));
  double fraction = b.number_or({"rotary_emb_fraction"}, 1);
  if (!(fraction > 0 && fraction <= 1)) {
    b.fail(invalid_argument("config: rotary_emb_fraction must be above 0, at most 1"));
    fraction = 1;
  }
  const auto rotary_dim = static_cast<int64_t>(fraction * static_cast<double>(f.head_dim));
  ops::Rope rope = read_rope(b, rotary_dim, f.max_positions, {.theta = 1000, .theta_key = "rotary_emb_base"});
  rope.interleaved = b.flag_or({"rotary_emb_interleaved"}, false);
  return rope;
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  EncoderFields f = encoder_fields(b);
  const std::string function = gate_function(b, f);
  const ops::Rope rope = rope_of(b, f);
  if (b.flag_or({"prenorm"}, false)) b.fail(invalid_argument("config: prenorm is not supported"));
  if (!b.status().ok()) return b.status();

  const std::string prefix = b.prefix_of({"bert.", "nomic_bert.", ""}, "embeddings.word_embeddings.weight");
  const bool published = b.has(prefix + "emb_ln.weight");
  Value x = encoder_embeddings(b, prefix + "embeddings.", f);
  x = encoder_norm(b, x, prefix + (published ? "emb_ln" : "embeddings.LayerNorm"), f);
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = prefix + (published ? "encoder.layers." : "layers.") + std::to_string(layer) + ".";
    const auto [q, k, v] = project(b, x, p, f);
    const Value a = encoder_attention(b, q, k, v, f, &rope);
    x = ops::add(g, x, encoder_linear(b, a, p + (published ? "attn.out_proj" : "self_attn.o_proj"), f.hidden));
    x = encoder_norm(b, x, p + (published ? "norm1" : "post_attention_layernorm"), f);
    x = ops::add(g, x, feed_forward(b, x, p, f, function));
    x = encoder_norm(b, x, p + (published ? "norm2" : "post_mlp_layernorm"), f);
    b.end_layer(layer, x);
  }
  if (b.has(prefix + "pooler.dense.weight")) {
    const Value pooled = tanh_pooler(b, x, prefix + "pooler.dense", f);
    g.add_output("pooler", pooled);
    if (b.has("classifier.weight")) add_score(b, checkpoint, pooled, "classifier");
  }
  return finish_encoder(b, x, f);
}

}  // namespace strata::nomic_bert
