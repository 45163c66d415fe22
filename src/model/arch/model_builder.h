// What architecture files share. Three kinds of functions:
//   fields   read the configuration in the spellings that are in use (hidden_size or n_embd, rope_theta or
//            rope_parameters ...);
//   weights  find tensors with the shape that the configuration promises, whole or as rows of a fused one;
//   blocks   compose ops: each takes a value and gives a value, and small structs say what varies.
// Wrong files are expected: the first failure is kept, building goes on with the promised shape, and finish() reports
// it. rope_fields.h reads rotary frequencies.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "compute/graph/graph.h"
#include "compute/graph/ops/ops.h"
#include "model/arch/architecture.h"
#include "model/format/shared_layers.h"

namespace strata {

// The fields nearly every model has. Before reading: the values of an architecture for fields its configuration may
// leave out (0: derived from the others).
struct DecoderFields {
  int64_t vocab = 0, hidden = 0, n_layers = 0, n_heads = 0;  // 0: the configuration must say
  int64_t n_kv_heads = 0;                                    // else n_heads
  int64_t head_dim = 0;                                      // else hidden / n_heads
  int64_t feed_forward = 0;                                  // else 4 * hidden
  int64_t max_context = 2048;
  double norm_eps = 1e-6;
  bool tied = false;  // also where the files have no head of its own
  bool attention_bias = false;
  bool mlp_bias = false;
  std::string activation = "silu";
};

// Which rows of a stored matrix make a weight, when the matrix holds more than it. The numbers of a bias are chosen
// alike.
struct Rows {
  int64_t of = 0;  // rows of the stored matrix; 0: it is the weight itself
  int64_t first = 0;
  int64_t group = 0;  // rows taken of each `stride`; 0: all rows of the weight follow each other
  int64_t stride = 0;
  int64_t step = 1;         // every step-th row
  bool transposed = false;  // stored as [k, rows] (GPT-2's Conv1D)
};

struct Norm {
  double eps = 1e-6;
  double offset = 0;      // added to the weight
  bool centered = false;  // layer norm; else the root mean square
  bool bias = false;
  bool per_head = false;  // values of heads [T, n_heads, dim] have a weight [n_heads, dim]
};

struct Heads {
  int64_t n_heads = 0, n_kv_heads = 0, head_dim = 0;
  bool bias = false;
};
struct Qkv {
  Value q;     // [T, n_heads, head_dim]
  Value k, v;  // [T, n_kv_heads, head_dim]
};
// How q, k and v lie in one matrix: one after the other, or for each kv head its q heads, its k and its v (with as many
// kv heads as heads: q, k and v of every head).
enum class QkvOrder : uint8_t { kBlocks, kGroups };

struct Mlp {
  int64_t feed_forward = 0;
  std::string activation = "silu";
  bool bias = false;
};

struct Experts {
  int64_t n_experts = 0, feed_forward = 0;
  ops::Route route;
  std::string activation = "silu";
  Value choice_bias = {};  // [n_experts], or none
  std::string router = "gate";
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";  // under "experts."
};

struct Head {
  std::string name = "lm_head";
  std::string embedding = "model.embed_tokens";  // its weight when the head is tied
  bool bias = false;
  double scale = 1;    // of the logits
  double softcap = 0;  // 0: none; else logits = softcap * tanh(logits / softcap)
};

class ModelBuilder {
 public:
  explicit ModelBuilder(const Checkpoint& checkpoint);
  // For models of several parts: reads the fields in the object `part` of the configuration ("text_config").
  ModelBuilder(const Checkpoint& checkpoint, std::string_view part);

  Graph& graph() { return graph_; }
  const ConfigView& config() const { return config_; }
  Status status() const { return status_; }
  void set_short_context(int64_t tokens) { short_context_ = tokens; }  // longrope
  void fail(Status status);

  // --- fields
  using Keys = std::initializer_list<std::string_view>;  // spellings of one field; the first that is present counts
  DecoderFields decoder_fields(DecoderFields unless_said = {});
  int64_t require_int(Keys keys);  // 1 to 2^30, else keeps a failure and gives 1
  int64_t require_int(std::string_view key) { return require_int({key}); }
  int64_t int_or(Keys keys, int64_t otherwise);  // the same for a field that may be absent
  int64_t count_or(Keys keys, int64_t otherwise);  // from 0
  double number_or(Keys keys, double otherwise);
  bool flag_or(Keys keys, bool otherwise);
  std::string activation_or(Keys keys, const std::string& otherwise);  // the name the graph has for it
  // The attention window of every layer, 0: all positions. `layer_types` decides, and without it slides(layer);
  // `use_sliding_window` may switch all off.
  std::vector<int64_t> windows(int64_t n_layers, const std::function<bool(int64_t)>& slides);
  // n_experts, feed_forward (of one expert) and n_used of the route, which are checked against each other.
  Experts read_experts(Keys feed_forward);
  // Qwen's mixtures: the layers that have experts by decoder_sparse_step and mlp_only_layers.
  std::vector<bool> sparse_layers(int64_t n_layers);
  // The first of the prefixes under which the files have this tensor; the last one when none has.
  std::string prefix_of(Keys prefixes, const std::string& tensor) const;

  // --- weights
  bool has(const std::string& name) const { return checkpoint_.find(shared_.stored(name)) != nullptr; }
  bool is_stored_in_blocks(const std::string& name) const;  // of a quantized type
  // A weight of the checkpoint; fails unless its shape is this one.
  Value weight(const std::string& name, std::initializer_list<int64_t> shape);
  Value vector(const std::string& name, int64_t n, const Rows& rows = {});             // [n]
  Value matrix(const std::string& name, int64_t n, int64_t k, const Rows& rows = {});  // [n, k]
  // [n, k]: columns of a stored matrix [n, columns.of] of plain numbers.
  Value columns(const std::string& name, int64_t n, int64_t k, const Rows& columns);
  // n_experts matrices [n, k]: rows of one tensor of three dimensions whose matrices are stored as `rows` says.
  Value stacked(const std::string& name, int64_t n_experts, int64_t n, int64_t k, const Rows& rows);
  // n_experts matrices [n, k]: one tensor "<prefix>.<kind>.weight" of three dimensions, or one per expert
  // "<prefix>.<e>.<kind>.weight".
  Value experts(const std::string& prefix, const std::string& kind, int64_t n_experts, int64_t n, int64_t k);
  // One slice per head of a stacked projection [n_heads * stride, k]: rows [first, first + n) of each head.
  Value head_slices(const std::string& name, int64_t n_heads, int64_t stride, int64_t first, int64_t n, int64_t k,
                    bool transpose);
  // One vector per head, [n_heads, n]: "<name><which>" or, a tensor each, "<name>.norms.<head><which>" (StableLM).
  Value head_vectors(const std::string& name, const std::string& which, int64_t n_heads, int64_t n);
  // The numbers of a small fp32 tensor of `size`, read now; empty when there is none of this name.
  std::vector<double> read_vector(const std::string& name, int64_t size);

  // --- blocks
  Value ids();
  Value positions();
  Value embed(const std::string& name, int64_t n, int64_t dim, Value index);  // rows of "<name>.weight" [n, dim]
  Value norm(Value x, const std::string& name, const Norm& norm);             // "<name>.weight", "<name>.bias"
  Value linear(Value x, const std::string& name, int64_t n, bool bias = false, const Rows& rows = {});
  Value split_heads(Value x, int64_t n_heads);                      // [T, n * d] -> [T, n, d]
  Value merge_heads(Value x);                                       // [T, n, d] -> [T, n * d]
  Qkv qkv(Value x, const std::string& prefix, const Heads& heads);  // "<prefix>.q_proj", ".k_proj", ".v_proj"
  Qkv fused_qkv(Value x, const std::string& name, const Heads& heads, QkvOrder order, bool transposed = false);
  // Causal self-attention of a layer with its heads side by side: [T, n_heads * head_dim]. attention.state is set here.
  Value attend(const Qkv& qkv, int64_t layer, ops::Attention attention = {});
  Value gated_mlp(Value x, const std::string& prefix, const Mlp& mlp);        // ".gate_proj", ".up_proj", ".down_proj"
  Value fused_gated_mlp(Value x, const std::string& prefix, const Mlp& mlp);  // ".gate_up_proj", ".down_proj"
  Value plain_mlp(Value x, const std::string& up, const std::string& down, const Mlp& mlp, bool transposed = false);
  Value mixture(Value x, const std::string& prefix, const Experts& experts);
  // Names the residual stream after a layer ("layer.3"), for passes that cut or tap it.
  void end_layer(int64_t layer, Value x);
  Value output_rows(Value x);  // [T, dim] -> [O, dim]: the rows whose logits are wanted
  // Adds the output "logits" of the final hidden states, which become the tap "hidden". After the layers that the field
  // exits names there are exits, taps "exit.<layer>": what the head gets there, with a norm of its own
  // ("exits.<layer>.norm.weight").
  void logits(Value x, const DecoderFields& fields, const Head& head = {});

  Result<BuiltModel> finish(const DecoderFields& fields, const Experts& experts = {});

 private:
  Value add(const std::string& name, const std::vector<int64_t>& shape, DType dtype, WeightRef ref);
  std::string_view present(Keys keys) const;  // the first of them that the configuration has, or the first
  DType check(const std::string& name, const std::vector<int64_t>& shape);
  void read_shared_layers();
  void add_exits(Value hidden);
  int64_t width(Value x) const { return graph_.type(x).last().factor; }

  const Checkpoint& checkpoint_;
  const ConfigView config_;
  SharedLayers shared_;
  Graph graph_;
  Status status_;
  std::vector<WantedTensor> wanted_;  // of a blank checkpoint
  int64_t short_context_ = 0;
};

// The activation's name in a graph for a name in config.json ("silu", "gelu_new", ...); empty when unknown.
std::string activation_name(const std::string& published);

}  // namespace strata
