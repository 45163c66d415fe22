// Falcon in its three styles (https://arxiv.org/abs/2311.16867): 7B, where all heads read one key and attention and
// feed-forward stand side by side behind one layer norm; 40B, 180B and 11B, where groups of heads do, behind two norms
// or one; and RW (RefinedWeb, https://arxiv.org/abs/2306.01116), one sublayer after the other with linear biases in the
// place of rotary positions.
#include <cmath>

#include "compute/tensor/half.h"
#include "model/arch/model_builder.h"
#include "model/arch/models.h"
#include "model/arch/rope_fields.h"

namespace strata::falcon {
namespace {

struct Style {
  bool grouped = false;  // new_decoder_architecture
  bool parallel = true;
  bool two_norms = false;
  bool bias = false;
  bool alibi = false;
  int64_t n_kv_heads = 1;
};

Style read_style(ModelBuilder& b, int64_t n_heads) {
  Style s;
  s.grouped = b.flag_or({"new_decoder_architecture"}, b.config().has("n_head_kv"));  // older files name just the heads
  s.parallel = b.flag_or({"parallel_attn"}, true);
  s.two_norms = s.grouped && b.int_or({"num_ln_in_parallel_attn"}, 2) == 2;
  s.bias = b.flag_or({"bias"}, false);
  s.alibi = b.flag_or({"alibi"}, false);
  const int64_t n_kv_heads = b.int_or({"num_kv_heads", "n_head_kv"}, n_heads);
  if (s.grouped || !b.flag_or({"multi_query"}, true)) s.n_kv_heads = n_kv_heads;
  if (n_heads % s.n_kv_heads != 0 || (!s.grouped && s.n_kv_heads != 1 && s.n_kv_heads != n_heads)) {
    b.fail(invalid_argument("config: num_kv_heads " + std::to_string(n_kv_heads) + " does not fit " +
                            std::to_string(n_heads) + " heads"));
    s.n_kv_heads = 1;
  }
  if (s.grouped && !s.parallel)
    b.fail(
        invalid_argument("config: new_decoder_architecture is true and parallel_attn false, which do not go together"));
  return s;
}

// Powers of 2^(-8 / n) for n heads, n a power of two; between powers the heads beyond take every other slope of twice
// as many heads. The published models compute in bfloat16.
std::vector<double> alibi_slopes(int64_t n_heads) {
  std::vector<double> slopes;
  int64_t power = 1;
  while (power * 2 <= n_heads) power *= 2;
  const auto add = [&](int64_t n, int64_t step) {
    const double slope = std::pow(2, -8.0 / static_cast<double>(n) * static_cast<double>(step));
    slopes.push_back(bfloat16_to_float(float_to_bfloat16(static_cast<float>(slope))));
  };
  for (int64_t i = 1; i <= power; ++i) add(power, i);
  for (int64_t i = 1; i <= n_heads - power; ++i) add(2 * power, 2 * i - 1);
  return slopes;
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  Graph& g = b.graph();
  const DecoderFields f = b.decoder_fields({.norm_eps = 1e-5, .activation = "gelu"});
  const Style style = read_style(b, f.n_heads);
  const ops::Rope rope = style.alibi ? ops::Rope{} : read_rope(b, f.head_dim, f.max_context);
  ops::Attention attention;
  if (style.alibi) attention.alibi = alibi_slopes(f.n_heads);
  attention.alibi_rounded = style.alibi;
  const QkvOrder order = b.flag_or({"qkv_by_group"}, true) ? QkvOrder::kGroups : QkvOrder::kBlocks;
  const Norm norm{.eps = f.norm_eps, .centered = true, .bias = true};
  const Heads heads{f.n_heads, style.n_kv_heads, f.head_dim, style.bias};
  const Mlp mlp{f.feed_forward, f.activation, style.bias};
  if (!b.status().ok()) return b.status();

  Value x = b.embed("transformer.word_embeddings", f.vocab, f.hidden, b.ids());
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = "transformer.h." + std::to_string(layer) + ".";
    const Value h = b.norm(x, p + (style.two_norms ? "ln_attn" : "input_layernorm"), norm);
    Qkv a = b.fused_qkv(h, p + "self_attention.query_key_value", heads, order);
    if (!style.alibi) {
      a.q = ops::rope(g, a.q, b.positions(), rope);
      a.k = ops::rope(g, a.k, b.positions(), rope);
    }
    const Value attended = b.attend(a, layer, attention);
    const Value between = ops::add(g, x, b.linear(attended, p + "self_attention.dense", f.hidden, style.bias));
    Value m = h;
    if (!style.parallel) m = b.norm(between, p + "post_attention_layernorm", norm);
    if (style.two_norms) m = b.norm(x, p + "ln_mlp", norm);
    x = ops::add(g, between, b.plain_mlp(m, p + "mlp.dense_h_to_4h", p + "mlp.dense_4h_to_h", mlp));
    b.end_layer(layer, x);
  }
  b.logits(b.norm(b.output_rows(x), "transformer.ln_f", norm), f, {.embedding = "transformer.word_embeddings"});
  return b.finish(f);
}

}  // namespace strata::falcon
