#include "model/arch/model_builder.h"

#include <algorithm>
#include <cstring>

namespace strata {
namespace {

// Bounds on what a configuration may say: far above any model, low enough that no product of them overflows.
constexpr int64_t kMaxField = int64_t{1} << 30;

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

}  // namespace

std::string activation_name(const std::string& published) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"silu", "silu"},
                                                                             {"swish", "silu"},
                                                                             {"gelu", "gelu"},
                                                                             {"gelu_new", "gelu_tanh"},
                                                                             {"gelu_pytorch_tanh", "gelu_tanh"},
                                                                             {"gelu_fast", "gelu_tanh"},
                                                                             {"relu", "relu"},
                                                                             {"relu2", "relu2"},
                                                                             {"sigmoid", "sigmoid"},
                                                                             {"tanh", "tanh"}};
  for (const auto& [from, to] : kNames) {
    if (from == published) return std::string(to);
  }
  return {};
}

void ModelBuilder::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

int64_t ModelBuilder::require_int(std::string_view key) {
  const Result<int64_t> value = config_.require_int(key);
  if (!value.ok()) {
    fail(value.status());
    return 1;
  }
  if (*value < 1 || *value > kMaxField) {
    fail(invalid_argument("config: " + std::string(key) + " is " + std::to_string(*value) + ", expected 1 to " +
                          std::to_string(kMaxField)));
    return 1;
  }
  return *value;
}

DecoderFields ModelBuilder::decoder_fields() {
  DecoderFields f;
  f.vocab = require_int("vocab_size");
  f.hidden = require_int("hidden_size");
  f.n_layers = require_int("num_hidden_layers");
  f.n_heads = require_int("num_attention_heads");
  f.n_kv_heads = config_.has("num_key_value_heads") ? require_int("num_key_value_heads") : f.n_heads;
  f.head_dim = config_.has("head_dim") ? require_int("head_dim") : std::max<int64_t>(1, f.hidden / f.n_heads);
  f.feed_forward = config_.has("intermediate_size") ? require_int("intermediate_size") : 4 * f.hidden;
  f.max_context = config_.has("max_position_embeddings") ? require_int("max_position_embeddings") : 2048;
  f.norm_eps = config_.get_double("rms_norm_eps").value_or(1e-6);
  f.tied = config_.get_bool("tie_word_embeddings").value_or(false) || !has("lm_head.weight");
  f.attention_bias = config_.get_bool("attention_bias").value_or(false);
  f.mlp_bias = config_.get_bool("mlp_bias").value_or(false);
  const std::string published = config_.get_string("hidden_act").value_or("silu");
  f.activation = activation_name(published);
  if (f.activation.empty()) fail(invalid_argument("config: hidden_act \"" + published + "\" is unknown"));
  if (f.n_layers > 4096)
    fail(invalid_argument("config: num_hidden_layers is " + std::to_string(f.n_layers) + ", expected at most 4096"));
  if (f.n_heads % f.n_kv_heads != 0) {
    fail(invalid_argument("config: num_attention_heads " + std::to_string(f.n_heads) +
                          " is no multiple of num_key_value_heads " + std::to_string(f.n_kv_heads)));
    f.n_kv_heads = f.n_heads;
  }
  return f;
}

Value ModelBuilder::add(const std::string& name, const std::vector<int64_t>& shape, DType dtype, WeightRef ref) {
  TensorType type;
  type.dtype = dtype;
  for (const int64_t n : shape) type.shape.emplace_back(n);
  return graph_.add_weight(name, std::move(type), std::move(ref));
}

Value ModelBuilder::weight(const std::string& name, std::initializer_list<int64_t> dims) {
  const std::vector<int64_t> shape(dims);
  const Result<const TensorInfo*> tensor = checkpoint_.require(name);
  DType dtype = DType::kF32;
  if (!tensor.ok()) {
    fail(tensor.status());
  } else if ((*tensor)->shape != shape) {
    fail(invalid_argument("tensor " + name + ": shape " + shape_text((*tensor)->shape) + ", the configuration says " +
                          shape_text(shape)));
  } else {
    dtype = (*tensor)->type;
  }
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return add(name, shape, dtype, {{{name, 0, rows, 0, shape.back()}}, false, 1});
}

std::vector<double> ModelBuilder::read_vector(const std::string& name, int64_t size) {
  const TensorInfo* tensor = checkpoint_.find(name);
  if (tensor == nullptr) return {};
  if (tensor->type != DType::kF32 || tensor->shape != std::vector<int64_t>{size}) {
    fail(invalid_argument("tensor " + name + ": expected " + shape_text({size}) + " of type F32"));
    return {};
  }
  std::vector<float> numbers(static_cast<size_t>(size));
  std::memcpy(numbers.data(), tensor->data.data(), tensor->data.size());
  return {numbers.begin(), numbers.end()};
}

Value ModelBuilder::experts(const std::string& prefix, const std::string& kind, int64_t n_experts, int64_t n,
                            int64_t k) {
  const std::string stacked = prefix + "." + kind + ".weight";
  if (has(stacked)) return weight(stacked, {n_experts, n, k});
  WeightRef ref;
  DType dtype = DType::kF32;
  for (int64_t e = 0; e < n_experts; ++e) {
    const std::string name = prefix + "." + std::to_string(e) + "." + kind + ".weight";
    const Result<const TensorInfo*> tensor = checkpoint_.require(name);
    if (!tensor.ok()) {
      fail(tensor.status());
      break;
    }
    if ((*tensor)->shape != std::vector<int64_t>{n, k} || (e > 0 && (*tensor)->type != dtype)) {
      fail(invalid_argument("tensor " + name + ": shape " + shape_text((*tensor)->shape) + ", expected " +
                            shape_text({n, k}) + " and one type for all experts"));
    }
    dtype = (*tensor)->type;
    ref.parts.push_back({name, 0, n, 0, k});
  }
  return add(stacked, {n_experts, n, k}, dtype, std::move(ref));
}

Value ModelBuilder::head_slices(const std::string& name, int64_t n_heads, int64_t stride, int64_t first, int64_t n,
                                int64_t k, bool transpose) {
  const Result<const TensorInfo*> tensor = checkpoint_.require(name);
  const std::vector<int64_t> expected{n_heads * stride, k};
  if (!tensor.ok()) {
    fail(tensor.status());
  } else if ((*tensor)->shape != expected) {
    fail(invalid_argument("tensor " + name + ": shape " + shape_text((*tensor)->shape) + ", the configuration says " +
                          shape_text(expected)));
  }
  WeightRef ref;
  ref.transpose = transpose;
  for (int64_t h = 0; h < n_heads; ++h) ref.parts.push_back({name, h * stride + first, h * stride + first + n, 0, k});
  const std::vector<int64_t> shape =
      transpose ? std::vector<int64_t>{n_heads, k, n} : std::vector<int64_t>{n_heads, n, k};
  return add(name + "[" + std::to_string(first) + ":" + std::to_string(first + n) + "]", shape, DType::kF32,
             std::move(ref));
}

Value ModelBuilder::ids() { return graph_.add_input("ids", {DType::kI32, {Dim::tokens()}}); }
Value ModelBuilder::positions() { return graph_.add_input("positions", {DType::kI32, {Dim::tokens()}}); }

Value ModelBuilder::linear(Value x, const std::string& name, int64_t n, bool bias) {
  const Value y = ops::matmul(graph_, x, weight(name + ".weight", {n, graph_.type(x).last().factor}));
  return bias ? ops::add_bias(graph_, y, vector(name + ".bias", n)) : y;
}

Value ModelBuilder::split_heads(Value x, int64_t n_heads) {
  const TensorType type = graph_.type(x);
  return ops::reshape(graph_, x, {type.shape[0], n_heads, type.last().factor / n_heads});
}

Value ModelBuilder::merge_heads(Value x) {
  const TensorType type = graph_.type(x);
  return ops::reshape(graph_, x, {type.shape[0], type.shape[1].factor * type.shape[2].factor});
}

Value ModelBuilder::gated_mlp(Value x, const std::string& prefix, int64_t feed_forward, const DecoderFields& fields) {
  const Value gate = linear(x, prefix + ".gate_proj", feed_forward, fields.mlp_bias);
  const Value up = linear(x, prefix + ".up_proj", feed_forward, fields.mlp_bias);
  return linear(ops::gated(graph_, gate, up, fields.activation), prefix + ".down_proj", fields.hidden, fields.mlp_bias);
}

Value ModelBuilder::mixture(Value x, const std::string& prefix, const ops::Route& route, int64_t n_experts,
                            int64_t feed_forward, Value choice_bias, const DecoderFields& fields) {
  const Value logits = linear(x, prefix + ".gate", n_experts);
  const ops::Routed routed = ops::route(graph_, logits, choice_bias, route);
  const ops::ExpertGroups groups = ops::expert_groups(graph_, routed.ids, n_experts);
  const std::string experts_prefix = prefix + ".experts";
  const Value gate = ops::expert_matmul(
      graph_, x, experts(experts_prefix, "gate_proj", n_experts, feed_forward, fields.hidden), groups, route.n_used);
  const Value up = ops::expert_matmul(
      graph_, x, experts(experts_prefix, "up_proj", n_experts, feed_forward, fields.hidden), groups, route.n_used);
  const Value inner = ops::gated(graph_, gate, up, fields.activation);
  const Value y =
      ops::expert_matmul(graph_, inner, experts(experts_prefix, "down_proj", n_experts, fields.hidden, feed_forward),
                         groups, route.n_used);
  return ops::combine(graph_, y, routed.weights);
}

void ModelBuilder::head(Value x, const DecoderFields& fields, double norm_offset) {
  const Value rows = graph_.add_input("output_rows", {DType::kI32, {Dim::outputs()}});
  const Value last = ops::gather_rows(graph_, x, rows);
  const Value normed =
      ops::rms_norm(graph_, last, vector("model.norm.weight", fields.hidden), fields.norm_eps, norm_offset);
  const std::string name = fields.tied ? "model.embed_tokens.weight" : "lm_head.weight";
  graph_.add_output("logits", ops::matmul(graph_, normed, weight(name, {fields.vocab, fields.hidden})));
}

Result<BuiltModel> ModelBuilder::finish(const DecoderFields& fields, int64_t n_experts, int64_t n_experts_used) {
  RETURN_IF_ERROR(config_.status());
  RETURN_IF_ERROR(status_);
  ModelConfig config;
  config.vocab = fields.vocab;
  config.hidden = fields.hidden;
  config.n_layers = fields.n_layers;
  config.max_context = fields.max_context;
  config.n_experts = n_experts;
  config.n_experts_used = n_experts_used;
  return BuiltModel{config, std::move(graph_)};
}

}  // namespace strata
