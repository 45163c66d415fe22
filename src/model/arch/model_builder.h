// What architecture files share: reading the common fields, finding weights with the shape that the configuration
// promises, and the blocks that are the same everywhere. Wrong files are expected: the first failure is kept, building
// goes on with the promised shape, and finish() reports it.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "compute/graph/graph.h"
#include "compute/graph/ops/ops.h"
#include "model/arch/architecture.h"

namespace strata {

// The fields nearly every decoder has, as config.json names them.
struct DecoderFields {
  int64_t vocab = 0, hidden = 0, n_layers = 0, n_heads = 0, n_kv_heads = 0, head_dim = 0, feed_forward = 0,
          max_context = 0;
  double norm_eps = 1e-6;
  bool tied = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  std::string activation = "silu";
};

class ModelBuilder {
 public:
  explicit ModelBuilder(const Checkpoint& checkpoint) : checkpoint_(checkpoint), config_(checkpoint.config()) {}

  Graph& graph() { return graph_; }
  const ConfigView& config() const { return config_; }
  Status status() const { return status_; }

  DecoderFields decoder_fields();
  int64_t require_int(std::string_view key);  // >= 1, else keeps a failure and gives 1
  void fail(Status status);

  // A weight of the checkpoint; fails unless its shape is this one.
  Value weight(const std::string& name, std::initializer_list<int64_t> shape);
  Value vector(const std::string& name, int64_t size) { return weight(name, {size}); }
  bool has(const std::string& name) const { return checkpoint_.find(name) != nullptr; }
  // The numbers of a small fp32 tensor of `size`, read now; empty when there is none of this name.
  std::vector<double> read_vector(const std::string& name, int64_t size);
  // n_experts matrices [n, k] stacked: one tensor "<prefix>.<kind>.weight" of three dimensions, or one per expert
  // "<prefix>.<e>.<kind>.weight".
  Value experts(const std::string& prefix, const std::string& kind, int64_t n_experts, int64_t n, int64_t k);
  // One slice per head of a stacked projection [n_heads * stride, k]: rows [first, first + n) of each head.
  Value head_slices(const std::string& name, int64_t n_heads, int64_t stride, int64_t first, int64_t n, int64_t k,
                    bool transpose);

  Value ids();
  Value positions();
  Value linear(Value x, const std::string& name, int64_t n, bool bias = false);  // "<name>.weight", "<name>.bias"
  Value split_heads(Value x, int64_t n_heads);                                   // [T, n * d] -> [T, n, d]
  Value merge_heads(Value x);                                                    // [T, n, d] -> [T, n * d]
  Value gated_mlp(Value x, const std::string& prefix, int64_t feed_forward, const DecoderFields& fields);
  // Softmax or sigmoid routing over experts, gated feed-forward each.
  Value mixture(Value x, const std::string& prefix, const ops::Route& route, int64_t n_experts, int64_t feed_forward,
                Value choice_bias, const DecoderFields& fields);
  // Final norm, rows that are wanted, output projection: adds the output "logits".
  void head(Value x, const DecoderFields& fields, double norm_offset = 0);

  Result<BuiltModel> finish(const DecoderFields& fields, int64_t n_experts = 0, int64_t n_experts_used = 0);

 private:
  Value add(const std::string& name, const std::vector<int64_t>& shape, DType dtype, WeightRef ref);
  const Checkpoint& checkpoint_;
  const ConfigView& config_;
  Graph graph_;
  Status status_;
};

// The activation's name in a graph for a name in config.json ("silu", "gelu_new", ...); empty when unknown.
std::string activation_name(const std::string& published);

}  // namespace strata
