// Builders: one function per op, so that a model reads like its paper. Shapes are checked (CHECK) as the graph is
// built. T tokens, O output rows; every value is fp32 unless it says otherwise.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "compute/graph/graph.h"

namespace strata::ops {

// table: [vocab, dim] of any weight type; ids: [T] i32 -> [T, dim].
Value embed(Graph& g, Value table, Value ids);
// x: [..., k]; w: [n, k] -> [..., n].  y = x w^T.
Value matmul(Graph& g, Value x, Value w);
// x: [T, n_heads, k]; w: [n_heads, n, k] -> [T, n_heads, n].
Value head_matmul(Graph& g, Value x, Value w);

Value add(Graph& g, Value a, Value b);
Value mul(Graph& g, Value a, Value b);
Value scale(Graph& g, Value x, double factor);
Value clamp(Graph& g, Value x, double limit);                    // to [-limit, limit]
Value add_bias(Graph& g, Value x, Value bias);                   // bias: [dim]
Value activate(Graph& g, Value x, const std::string& function);  // silu gelu gelu_tanh relu relu2 sigmoid tanh
Value gated(Graph& g, Value gate, Value up, const std::string& function);  // function(gate) * up

// Over the last dimension. w: [dim]; y = x / rms(x) * (w + w_offset).
// (clamp(up) + 1) * g * sigmoid(alpha * g) with g = min(gate, limit); clamp: between -limit and limit (gpt-oss).
Value clamped_gated(Graph& g, Value gate, Value up, double alpha, double limit);
Value rms_norm(Graph& g, Value x, Value w, double eps, double w_offset = 0);
// b may be invalid. For x [T, n_heads, dim] w and b may be [n_heads, dim]: every head its own.
Value layer_norm(Graph& g, Value x, Value w, Value b, double eps, double w_offset = 0);

Value reshape(Graph& g, Value x, Shape shape);
Value slice(Graph& g, Value x, int64_t begin, int64_t end);  // of the last dimension
Value concat(Graph& g, Value a, Value b);                    // along the last dimension
Value gather_rows(Graph& g, Value x, Value rows);            // x: [T, dim], rows: [O] i32 -> [O, dim]
// One row per sequence of the step. x: [T, dim] (or [O, dim] where every token gives a row) -> [S, dim]. `rule`: first,
// last, or mean.
Value pool(Graph& g, Value x, const std::string& rule);

struct Rope {
  std::vector<double> inv_freq;  // [rotary_dim / 2], scaling applied
  std::vector<double> long_inv_freq = {};  // of sequences that have outgrown the short context (longrope), or empty
  bool interleaved = false;      // pairs (2i, 2i+1) instead of (i, i + rotary_dim/2)
  double magnitude = 1;          // factor on cos and sin
  int64_t offset = 0;            // first number of a head that rotates
};
Value rope(Graph& g, Value x, Value positions, const Rope& rope);  // x: [T, n_heads, head_dim]

struct Attention {
  std::string state = {};  // name of the layer's cache, e.g. "cache.0"
  double scale = 0;    // 0: 1 / sqrt(k_dim)
  int64_t window = 0;  // 0: none; causal: the last `window` positions; else those up to window / 2 away
  double softcap = 0;  // 0: none
  Value sinks = {};    // [n_heads] or invalid
  bool causal = true;  // false: encoders, which see the whole sequence and have no cache
  // One slope per head, or empty: slope * p joins q . k of the token at position p (ALiBi). Rounded: p, the slopes and
  // their products are bfloat16 (kernels: Alibi).
  std::vector<double> alibi = {};
  bool alibi_rounded = false;
};
// Self-attention. q: [T, n_heads, k_dim]; k: [T, n_kv_heads, k_dim]; v: [T, n_kv_heads, v_dim] -> [T, n_heads,
// v_dim].
Value attention(Graph& g, Value q, Value k, Value v, const Attention& attention);
// Multi-head latent attention (DeepSeek-V2, https://arxiv.org/abs/2405.04434). q_nope: [T, n_heads, nope]; q_rope: [T,
// n_heads, rope]; latent: [T, rank]; k_rope: [T, rope]; k_up: [n_heads, rank, nope] (transposed key up-projection);
// v_up: [n_heads, v_dim, rank] -> [T, n_heads, v_dim].
Value latent_attention(Graph& g, Value q_nope, Value q_rope, Value latent, Value k_rope, Value k_up, Value v_up,
                       const Attention& attention);

struct Route {
  int64_t n_used = 0;
  std::string score = "softmax";  // softmax, sigmoid, softmax_of_chosen
  bool normalize = false;
  double scale = 1;
  int64_t n_groups = 1;
  int64_t n_groups_used = 1;
  int64_t n_group_best = 2;  // a group is as good as the sum of its 1 or 2 best experts
};
struct Routed {
  Value ids;      // [T, n_used] i32
  Value weights;  // [T, n_used]
};
Routed route(Graph& g, Value logits, Value bias,
             const Route& route);  // logits: [T, n_experts]; bias: [n_experts] or invalid
struct ExpertGroups {
  Value pairs;  // [n_used * T] i32: token-expert pairs ordered by expert
  Value begin;  // [n_experts + 1] i32: where each expert's pairs begin
};
ExpertGroups expert_groups(Graph& g, Value ids, int64_t n_experts);
// x: [T, k] (each token goes to its n_used experts) or [n_used * T, k] (one row a pair); w: [n_experts, n, k] ->
// [n_used * T, n].
Value expert_matmul(Graph& g, Value x, Value w, const ExpertGroups& groups, int64_t n_used);
// How evenly tokens are spread: probabilities [T, n_experts], ids [T, n_used] -> [2, n_experts], the share of tokens
// that chose each expert and its mean probability.
Value expert_shares(Graph& g, Value probabilities, Value ids);
// weight * n_experts * sum of both shares' products [1], a batch's part of the step's as the loss is.
Value balance_loss(Graph& g, Value shares, double weight);
Value combine(Graph& g, Value y, Value weights);  // y: [n_used * T, dim], weights: [T, n_used] -> [T, dim]

Value all_sum(Graph& g, Value x);  // over the ranks of the tensor-parallel group
// logits: [O, vocab]; targets: [O] i32, -1 ignored -> the mean loss [1], targets weighed as the batch says.
Value cross_entropy(Graph& g, Value logits, Value targets);
// The same of the logits z of a head, which are never in memory all together: z = scale * (x w^T + bias), and where bend
// is not 0, bend * tanh(z). x: [O, hidden]; w: [vocab, hidden]; bias: [vocab] or invalid.
struct HeadForm {
  double scale = 1;
  double bend = 0;
};
struct Head {
  Value x, w, bias;
  HeadForm form;
};
// `weight`: of this loss where there are several.
Value head_cross_entropy(Graph& g, const Head& head, Value targets, double weight = 1);

// What a teacher says of each output row: its k most probable tokens at a temperature ([O, k] i32), their probabilities
// and that of all others ([O, k + 1]). The head's weights may be of any type.
struct Taught {
  Value ids;
  Value probabilities;
};
Taught head_top(Graph& g, const Head& head, int64_t k, double temperature);
// The loss of a head's rows against both the targets and a teacher; kernels: DistillArgs.
struct Distillation {
  double temperature = 1;
  double share = 1;       // of the divergence from the teacher; the rest is the cross-entropy of the targets
  double beta = 0;        // which divergence: 0 from the teacher's side, 1 from the student's, between: of both
};
struct DistillLoss {
  Value loss;        // [1]
  Value divergence;  // [1] the mean divergence alone, without temperature^2 and share
  Value divergences;  // [O] of each row, times its weight
};
// weight * mean (x - teacher)^2 [1], a batch's part of the step's: hidden states [T, dim] against a teacher's.
Value hidden_distance(Graph& g, Value x, Value teacher, double weight);
DistillLoss head_distill(Graph& g, const Head& head, Value targets, const Taught& taught, const Distillation& form);

}  // namespace strata::ops
