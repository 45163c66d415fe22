// Fields and weights; the blocks are in model_blocks.cpp.
#include "model/arch/model_builder.h"

#include <algorithm>
#include <cstring>

#include "compute/kernels/cpu_kernels.h"

namespace strata {
namespace {

// Bounds on what a configuration may say: far above any model, low enough that no product of them overflows.
constexpr int64_t kMaxField = int64_t{1} << 30;
constexpr int64_t kMaxLayers = 4096;

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

std::string out_of_range(std::string_view key, int64_t value, int64_t low, int64_t high) {
  return "config: " + std::string(key) + " is " + std::to_string(value) + ", expected " + std::to_string(low) + " to " +
         std::to_string(high);
}

// The parts of a reference to `n` chosen rows; `whole` is the whole stored matrix (or vector, as one row).
WeightRef choose(const WeightPart& whole, int64_t n, const Rows& rows, bool along_columns) {
  WeightRef ref;
  ref.transpose = rows.transposed;
  const int64_t group = rows.group == 0 ? n : rows.group;
  for (int64_t taken = 0, first = rows.first; taken < n; taken += group, first += rows.stride) {
    WeightPart part = whole;
    int64_t& begin = along_columns ? part.col_begin : part.row_begin;
    begin += first;
    (along_columns ? part.col_end : part.row_end) = begin + (group - 1) * rows.step + 1;
    (along_columns ? part.col_step : part.row_step) = rows.step;
    ref.parts.push_back(std::move(part));
  }
  return ref;
}

// "qkv.weight[64:96]": a name of its own for each choice of rows.
std::string chosen_name(const std::string& name, int64_t n, const Rows& rows) {
  std::string text = name + "[" + std::to_string(rows.first) + ":";
  text += std::to_string(rows.first + ((rows.group == 0 ? n : rows.group) - 1) * rows.step + 1);
  if (rows.step != 1) text += ":" + std::to_string(rows.step);
  if (rows.group != 0) text += " of " + std::to_string(rows.stride);
  return text + "]";
}

}  // namespace

std::string activation_name(const std::string& published) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"silu", "silu"},
                                                                             {"swish", "silu"},
                                                                             {"gelu", "gelu"},
                                                                             {"gelu_python", "gelu"},
                                                                             {"gelu_new", "gelu_tanh"},
                                                                             {"gelu_pytorch_tanh", "gelu_tanh"},
                                                                             {"gelu_python_tanh", "gelu_tanh"},
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

ModelBuilder::ModelBuilder(const Checkpoint& checkpoint) : checkpoint_(checkpoint), config_(checkpoint.config()) {
  read_shared_layers();
}

ModelBuilder::ModelBuilder(const Checkpoint& checkpoint, std::string_view part)
    : checkpoint_(checkpoint), config_(checkpoint.config().get_object(part).value_or(checkpoint.config())) {
  read_shared_layers();
}

void ModelBuilder::read_shared_layers() {
  const Result<SharedLayers> shared = SharedLayers::from(config_);
  if (shared.ok()) {
    shared_ = *shared;
  } else {
    fail(shared.status());
  }
}

void ModelBuilder::fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

std::string_view ModelBuilder::present(Keys keys) const {
  for (const std::string_view key : keys) {
    if (config_.has(key)) return key;
  }
  return *keys.begin();
}

int64_t ModelBuilder::require_int(Keys keys) {
  const std::string_view key = present(keys);
  const Result<int64_t> value = config_.require_int(key);
  if (!value.ok()) {
    fail(value.status());
    return 1;
  }
  if (*value < 1 || *value > kMaxField) {
    fail(invalid_argument(out_of_range(key, *value, 1, kMaxField)));
    return 1;
  }
  return *value;
}

int64_t ModelBuilder::int_or(Keys keys, int64_t otherwise) {
  return config_.has(present(keys)) ? require_int(keys) : otherwise;
}

int64_t ModelBuilder::count_or(Keys keys, int64_t otherwise) {
  const std::string_view key = present(keys);
  const int64_t value = config_.get_int(key).value_or(otherwise);
  if (value >= 0 && value <= kMaxField) return value;
  fail(invalid_argument(out_of_range(key, value, 0, kMaxField)));
  return 0;
}

double ModelBuilder::number_or(Keys keys, double otherwise) {
  return config_.get_double(present(keys)).value_or(otherwise);
}

bool ModelBuilder::flag_or(Keys keys, bool otherwise) { return config_.get_bool(present(keys)).value_or(otherwise); }

std::string ModelBuilder::activation_or(Keys keys, const std::string& otherwise) {
  const std::string_view key = present(keys);
  const std::optional<std::string> published = config_.get_string(key);
  if (!published) return otherwise;
  std::string name = activation_name(*published);
  if (!name.empty()) return name;
  fail(invalid_argument("config: " + std::string(key) + " \"" + *published + "\" is unknown"));
  return otherwise;
}

DecoderFields ModelBuilder::decoder_fields(DecoderFields unless_said) {
  DecoderFields f = std::move(unless_said);
  const auto required = [&](Keys keys, int64_t known) { return known > 0 ? int_or(keys, known) : require_int(keys); };
  f.vocab = required({"vocab_size"}, f.vocab);
  f.hidden = required({"hidden_size", "n_embd", "n_embed"}, f.hidden);
  f.n_layers = required({"num_hidden_layers", "n_layer"}, f.n_layers);
  f.n_heads = required({"num_attention_heads", "n_head"}, f.n_heads);
  f.n_kv_heads = int_or({"num_key_value_heads"}, f.n_kv_heads > 0 ? f.n_kv_heads : f.n_heads);
  f.head_dim = int_or({"head_dim"}, f.head_dim > 0 ? f.head_dim : std::max<int64_t>(1, f.hidden / f.n_heads));
  f.feed_forward =
      int_or({"intermediate_size", "n_inner", "ffn_hidden_size"}, f.feed_forward > 0 ? f.feed_forward : 4 * f.hidden);
  f.max_context = int_or({"max_position_embeddings", "n_positions"}, f.max_context);
  f.norm_eps =
      number_or({"rms_norm_eps", "layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps"}, f.norm_eps);
  f.tied = flag_or({"tie_word_embeddings"}, false) || !has("lm_head.weight");
  f.attention_bias = flag_or({"attention_bias"}, f.attention_bias || has("model.layers.0.self_attn.q_proj.bias"));
  f.mlp_bias = flag_or({"mlp_bias"}, f.mlp_bias);
  f.activation = activation_or({"hidden_activation", "hidden_act", "activation_function", "activation"}, f.activation);
  if (f.n_layers > kMaxLayers) fail(invalid_argument(out_of_range("num_hidden_layers", f.n_layers, 1, kMaxLayers)));
  if (f.n_heads % f.n_kv_heads != 0) {
    fail(invalid_argument("config: num_attention_heads " + std::to_string(f.n_heads) +
                          " is no multiple of num_key_value_heads " + std::to_string(f.n_kv_heads)));
    f.n_kv_heads = f.n_heads;
  }
  return f;
}

std::vector<int64_t> ModelBuilder::windows(int64_t n_layers, const std::function<bool(int64_t)>& slides) {
  const bool used = flag_or({"use_sliding_window"}, true);
  const int64_t window = used ? std::clamp<int64_t>(config_.get_int("sliding_window").value_or(0), 0, kMaxField) : 0;
  const auto types = config_.get_strings("layer_types");
  if (types && static_cast<int64_t>(types->size()) != n_layers) {
    fail(invalid_argument("config: layer_types has " + std::to_string(types->size()) + " entries for " +
                          std::to_string(n_layers) + " layers"));
    return std::vector<int64_t>(static_cast<size_t>(n_layers), 0);
  }
  std::vector<int64_t> windows;
  for (int64_t layer = 0; layer < n_layers; ++layer) {
    const std::string type = types ? (*types)[static_cast<size_t>(layer)] : "";
    if (types && type != "sliding_attention" && type != "full_attention") {
      fail(invalid_argument("config: layer_types: \"" + type +
                            "\" is unknown (known: full_attention, sliding_attention)"));
    }
    windows.push_back((types ? type == "sliding_attention" : slides(layer)) ? window : 0);
  }
  return windows;
}

Experts ModelBuilder::read_experts(Keys feed_forward) {
  Experts experts;
  experts.n_experts = require_int({"num_local_experts", "num_experts", "n_routed_experts"});
  experts.feed_forward = require_int(feed_forward);
  experts.route.n_used = require_int({"num_experts_per_tok", "num_experts_per_token"});
  if (experts.n_experts > kMaxExperts)
    fail(invalid_argument(out_of_range("the number of experts", experts.n_experts, 1, kMaxExperts)));
  if (experts.route.n_used > experts.n_experts)
    fail(invalid_argument(out_of_range("num_experts_per_tok", experts.route.n_used, 1, experts.n_experts)));
  return experts;
}

std::vector<bool> ModelBuilder::sparse_layers(int64_t n_layers) {
  const int64_t step = int_or({"decoder_sparse_step"}, 1);
  const std::vector<int64_t> dense = config_.get_ints("mlp_only_layers").value_or(std::vector<int64_t>{});
  std::vector<bool> sparse;
  for (int64_t layer = 0; layer < n_layers; ++layer) {
    sparse.push_back((layer + 1) % step == 0 && std::find(dense.begin(), dense.end(), layer) == dense.end());
  }
  return sparse;
}

std::string ModelBuilder::prefix_of(Keys prefixes, const std::string& tensor) const {
  std::string prefix;
  for (const std::string_view tried : prefixes) {
    prefix = tried;
    if (has(prefix + tensor)) break;
  }
  return prefix;
}

Value ModelBuilder::add(const std::string& name, const std::vector<int64_t>& shape, DType dtype, WeightRef ref) {
  TensorType type;
  type.dtype = dtype;
  for (const int64_t n : shape) type.shape.emplace_back(n);
  for (WeightPart& part : ref.parts) part.tensor = shared_.stored(part.tensor);
  return graph_.add_weight(name, std::move(type), std::move(ref));
}

bool ModelBuilder::is_stored_in_blocks(const std::string& name) const {
  const TensorInfo* tensor = checkpoint_.find(shared_.stored(name));
  return tensor != nullptr && is_quantized(tensor->type);
}

// The type of a tensor; keeps a failure when it is missing or has another shape.
DType ModelBuilder::check(const std::string& of_layer, const std::vector<int64_t>& shape) {
  const std::string name = shared_.stored(of_layer);
  if (checkpoint_.is_blank()) {
    const bool is_new = std::none_of(wanted_.begin(), wanted_.end(), [&](const auto& t) { return t.name == name; });
    if (is_new) wanted_.push_back({name, shape});
    return DType::kF32;
  }
  const Result<const TensorInfo*> tensor = checkpoint_.require(name);
  if (!tensor.ok()) {
    fail(tensor.status());
    return DType::kF32;
  }
  if ((*tensor)->shape != shape) {
    fail(invalid_argument("tensor " + name + ": shape " + shape_text((*tensor)->shape) + ", the configuration says " +
                          shape_text(shape)));
    return DType::kF32;
  }
  return (*tensor)->type;
}

Value ModelBuilder::weight(const std::string& name, std::initializer_list<int64_t> dims) {
  const std::vector<int64_t> shape(dims);
  const DType dtype = check(name, shape);
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return add(name, shape, dtype, {{{name, 0, rows, 0, shape.back()}}, false, 1});
}

Value ModelBuilder::vector(const std::string& name, int64_t n, const Rows& rows) {
  if (rows.of == 0) return weight(name, {n});
  const DType dtype = check(name, {rows.of});
  Rows chosen = rows;
  chosen.transposed = false;
  WeightRef ref = status_.ok() ? choose({name, 0, 1, 0, 0}, n, chosen, true) : WeightRef{};
  return add(chosen_name(name, n, rows), {n}, dtype, std::move(ref));
}

Value ModelBuilder::matrix(const std::string& name, int64_t n, int64_t k, const Rows& rows) {
  if (rows.of == 0 && !rows.transposed) return weight(name, {n, k});
  const int64_t of = rows.of == 0 ? n : rows.of;
  const DType dtype = rows.transposed ? check(name, {k, of}) : check(name, {of, k});
  const WeightPart whole = rows.transposed ? WeightPart{name, 0, k, 0, 0} : WeightPart{name, 0, 0, 0, k};
  // What is not stored as rows is made of numbers: quantized blocks lie along the other side.
  const DType made = rows.transposed && is_quantized(dtype) ? DType::kF32 : dtype;
  WeightRef ref = status_.ok() ? choose(whole, n, rows, rows.transposed) : WeightRef{};
  return add(rows.of == 0 ? name : chosen_name(name, n, rows), {n, k}, made, std::move(ref));
}

Value ModelBuilder::columns(const std::string& name, int64_t n, int64_t k, const Rows& columns) {
  const DType dtype = check(name, {n, columns.of});
  if (is_quantized(dtype)) fail(invalid_argument("tensor " + name + ": its columns cannot be taken from blocks"));
  Rows chosen = columns;
  chosen.transposed = false;
  WeightRef ref = status_.ok() ? choose({name, 0, n, 0, 0}, k, chosen, true) : WeightRef{};
  return add(chosen_name(name, k, columns), {n, k}, dtype, std::move(ref));
}

Value ModelBuilder::stacked(const std::string& name, int64_t n_experts, int64_t n, int64_t k, const Rows& rows) {
  const int64_t of = rows.of == 0 ? n : rows.of;
  const int64_t stored_rows = rows.transposed ? k : of;
  const DType dtype = check(name, {n_experts, stored_rows, rows.transposed ? of : k});
  WeightRef ref;
  ref.transpose = rows.transposed;
  for (int64_t e = 0; e < n_experts && status_.ok(); ++e) {
    const int64_t base = e * stored_rows;
    const WeightPart whole =
        rows.transposed ? WeightPart{name, base, base + k, 0, 0} : WeightPart{name, base, base, 0, k};
    for (WeightPart& part : choose(whole, n, rows, rows.transposed).parts) ref.parts.push_back(std::move(part));
  }
  const DType made = rows.transposed && is_quantized(dtype) ? DType::kF32 : dtype;
  return add(rows.of == 0 ? name : chosen_name(name, n, rows), {n_experts, n, k}, made, std::move(ref));
}

Value ModelBuilder::experts(const std::string& prefix, const std::string& kind, int64_t n_experts, int64_t n,
                            int64_t k) {
  const std::string name = prefix + "." + kind + ".weight";
  if (has(name)) return weight(name, {n_experts, n, k});
  WeightRef ref;
  DType dtype = DType::kF32;
  for (int64_t e = 0; e < n_experts && status_.ok(); ++e) {
    const std::string one = prefix + "." + std::to_string(e) + "." + kind + ".weight";
    const DType type = check(one, {n, k});
    if (e > 0 && type != dtype) fail(invalid_argument("tensor " + one + ": expected one type for all experts"));
    dtype = type;
    ref.parts.push_back({one, 0, n, 0, k});
  }
  return add(name, {n_experts, n, k}, dtype, std::move(ref));
}

Value ModelBuilder::head_slices(const std::string& name, int64_t n_heads, int64_t stride, int64_t first, int64_t n,
                                int64_t k, bool transpose) {
  check(name, {n_heads * stride, k});
  WeightRef ref;
  ref.transpose = transpose;
  for (int64_t h = 0; h < n_heads && status_.ok(); ++h) {
    ref.parts.push_back({name, h * stride + first, h * stride + first + n, 0, k});
  }
  const std::vector<int64_t> shape =
      transpose ? std::vector<int64_t>{n_heads, k, n} : std::vector<int64_t>{n_heads, n, k};
  return add(name + "[" + std::to_string(first) + ":" + std::to_string(first + n) + "]", shape, DType::kF32,
             std::move(ref));
}

Value ModelBuilder::head_vectors(const std::string& name, const std::string& which, int64_t n_heads, int64_t n) {
  if (has(name + which) || !has(name + ".norms.0" + which)) return weight(name + which, {n_heads, n});
  WeightRef ref;
  DType dtype = DType::kF32;
  for (int64_t h = 0; h < n_heads && status_.ok(); ++h) {
    const std::string one = name + ".norms." + std::to_string(h) + which;
    const DType type = check(one, {n});
    if (h > 0 && type != dtype) fail(invalid_argument("tensor " + one + ": expected one type for all heads"));
    dtype = type;
    ref.parts.push_back({one, 0, 1, 0, n});
  }
  return add(name + which, {n_heads, n}, dtype, std::move(ref));
}

std::vector<double> ModelBuilder::read_vector(const std::string& name, int64_t size) {
  const TensorInfo* tensor = checkpoint_.find(shared_.stored(name));
  if (tensor == nullptr) return {};
  if (tensor->type != DType::kF32 || tensor->shape != std::vector<int64_t>{size}) {
    fail(invalid_argument("tensor " + name + ": expected " + shape_text({size}) + " of type F32"));
    return {};
  }
  std::vector<float> numbers(static_cast<size_t>(size));
  std::memcpy(numbers.data(), tensor->data.data(), tensor->data.size());
  return {numbers.begin(), numbers.end()};
}

Result<BuiltModel> ModelBuilder::finish(const DecoderFields& fields, const Experts& experts) {
  RETURN_IF_ERROR(config_.status());
  RETURN_IF_ERROR(status_);
  ModelConfig config;
  config.vocab = fields.vocab;
  config.hidden = fields.hidden;
  config.n_layers = fields.n_layers;
  config.max_context = fields.max_context;
  config.short_context = short_context_;
  config.n_experts = experts.n_experts;
  config.n_experts_used = experts.route.n_used;
  return BuiltModel{config, std::move(graph_), std::move(wanted_)};
}

}  // namespace strata
