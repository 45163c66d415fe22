#include "model/arch/encoder.h"

#include <algorithm>
#include <cmath>

namespace strata {
EncoderFields encoder_fields(ModelBuilder& b) {
  EncoderFields f;
  f.vocab = b.require_int("vocab_size");
  f.hidden = b.require_int({"hidden_size", "dim", "n_embd"});
  f.n_layers = b.require_int({"num_hidden_layers", "n_layers", "n_layer"});
  f.n_heads = b.require_int({"num_attention_heads", "n_heads", "n_head"});
  f.feed_forward = b.int_or({"intermediate_size", "hidden_dim", "n_inner"}, 4 * f.hidden);
  f.max_positions = b.int_or({"max_position_embeddings", "n_positions"}, 512);
  f.n_token_types = b.int_or({"type_vocab_size"}, 0);
  f.head_dim = b.int_or({"head_dim"}, std::max<int64_t>(1, f.hidden / f.n_heads));
  f.norm_eps = b.number_or({"layer_norm_eps", "layer_norm_epsilon", "norm_eps"}, 1e-12);
  f.activation = b.activation_or({"hidden_act", "activation", "hidden_activation"}, "gelu");
  if (f.n_layers > 4096)
    b.fail(invalid_argument("config: " + std::to_string(f.n_layers) + " layers, expected at most 4096"));
  if (f.hidden != f.n_heads * f.head_dim)
    b.fail(invalid_argument("config: " + std::to_string(f.n_heads) + " heads of " + std::to_string(f.head_dim) +
                            " numbers do not make the hidden size " + std::to_string(f.hidden)));
  return f;
}

Value encoder_linear(ModelBuilder& b, Value x, const std::string& name, int64_t n) {
  return b.linear(x, name, n, b.has(name + ".bias"));
}

Value encoder_norm(ModelBuilder& b, Value x, const std::string& name, const EncoderFields& f) {
  return b.norm(x, name, {.eps = f.norm_eps, .centered = true, .bias = b.has(name + ".bias")});
}

Value encoder_embeddings(ModelBuilder& b, const std::string& prefix, const EncoderFields& f) {
  Graph& g = b.graph();
  Value x = b.embed(prefix + "word_embeddings", f.vocab, f.hidden, b.ids());
  if (f.n_token_types > 0 && b.has(prefix + "token_type_embeddings.weight")) {
    const Value types = g.add_input("token_types", {DType::kI32, {Dim::tokens()}});
    x = ops::add(g, x, b.embed(prefix + "token_type_embeddings", f.n_token_types, f.hidden, types));
  }
  if (!b.has(prefix + "position_embeddings.weight")) return x;
  return ops::add(g, x, b.embed(prefix + "position_embeddings", f.max_positions, f.hidden, b.positions()));
}

Value encoder_attention(ModelBuilder& b, Value q, Value k, Value v, const EncoderFields& f, const ops::Rope* rope,
                        int64_t window) {
  Graph& g = b.graph();
  const auto heads = [&](Value x, bool rotates) {
    const Value split = b.split_heads(x, f.n_heads);
    return rotates && rope != nullptr ? ops::rope(g, split, b.positions(), *rope) : split;
  };
  ops::Attention attention;
  attention.scale = 1 / std::sqrt(static_cast<double>(f.head_dim));
  attention.window = window;
  attention.causal = false;
  return b.merge_heads(ops::attention(g, heads(q, true), heads(k, true), heads(v, false), attention));
}

Value bert_stack(ModelBuilder& b, const std::string& prefix, const EncoderFields& f) {
  Graph& g = b.graph();
  const std::string type = b.config().get_string("position_embedding_type").value_or("absolute");
  if (type != "absolute") b.fail(invalid_argument("config: position_embedding_type \"" + type + "\" is not supported"));
  Value x = encoder_norm(b, encoder_embeddings(b, prefix + "embeddings.", f), prefix + "embeddings.LayerNorm", f);
  for (int64_t layer = 0; layer < f.n_layers; ++layer) {
    const std::string p = prefix + "encoder.layer." + std::to_string(layer) + ".";
    const auto project = [&](const char* name) {
      return encoder_linear(b, x, p + "attention.self." + name, f.n_heads * f.head_dim);
    };
    const Value a = encoder_attention(b, project("query"), project("key"), project("value"), f);
    x = encoder_norm(b, ops::add(g, x, encoder_linear(b, a, p + "attention.output.dense", f.hidden)),
                     p + "attention.output.LayerNorm", f);
    const Value inner = ops::activate(g, encoder_linear(b, x, p + "intermediate.dense", f.feed_forward), f.activation);
    x = encoder_norm(b, ops::add(g, x, encoder_linear(b, inner, p + "output.dense", f.hidden)), p + "output.LayerNorm",
                     f);
    b.end_layer(layer, x);
  }
  return x;
}

Value tanh_pooler(ModelBuilder& b, Value x, const std::string& name, const EncoderFields& f) {
  const Value first = ops::pool(b.graph(), x, "first");
  return ops::activate(b.graph(), encoder_linear(b, first, name, f.hidden), "tanh");
}

void add_score(ModelBuilder& b, const Checkpoint& checkpoint, Value pooled, const std::string& name) {
  const TensorInfo* weight = checkpoint.find(name + ".weight");
  const int64_t n_labels =
      weight != nullptr && !weight->shape.empty() ? std::max<int64_t>(1, weight->shape.front()) : 1;
  b.graph().add_output("score", encoder_linear(b, pooled, name, n_labels));
}

Result<BuiltModel> finish_encoder(ModelBuilder& b, Value hidden, const EncoderFields& f) {
  Graph& g = b.graph();
  for (const auto& [output, rule] : {std::pair("cls", "first"), std::pair("mean", "mean"), std::pair("last", "last")}) {
    g.add_output(output, ops::pool(g, hidden, rule));
  }
  RETURN_IF_ERROR(b.config().status());
  RETURN_IF_ERROR(b.status());
  ModelConfig config;
  config.vocab = f.vocab;
  config.hidden = f.hidden;
  config.n_layers = f.n_layers;
  config.max_context = f.max_positions - (f.padding_id >= 0 ? f.padding_id + 1 : 0);
  config.pooling = Pooling::kMean;
  config.n_token_types = g.find(NodeKind::kInput, "token_types").valid() ? f.n_token_types : 0;
  config.padding_id = f.padding_id;
  const Value score = g.find_output("score");
  config.kind = score.valid() ? ModelKind::kRanks : ModelKind::kEmbeds;
  config.n_labels = score.valid() ? g.type(score).last().factor : 0;
  if (config.max_context < 1) return invalid_argument("config: max_position_embeddings leaves no position for a token");
  return BuiltModel{config, std::move(g)};
}

}  // namespace strata
