// The table of CPU kernels. One table per instruction set, each filled in its own translation units under
// kernels/reference, kernels/cpu/generic, kernels/cpu/avx2, kernels/cpu/avx512; chosen once at run time, forced by the
// option `cpu_isa`. `kReference` is the slow, obvious specification that every other table is tested against.
//
// Rules for every kernel here: raw pointers, no allocation, no checks, no exceptions, no locks. A kernel computes the
// pieces of work it is given (rows, tiles, items) and nothing else, so any number of threads may share a call by
// splitting the pieces. Pieces never split the sum over K: results do not depend on the split (the law of company).
// Files built with special flags keep everything in a namespace of their own and use no inline std templates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "compute/kernels/adapter_factor.h"
#include "compute/tensor/dtype.h"

namespace strata {

// y[i, :] = sum_k x[i, k] * w[:, k]       for rows i of x; w is [n, k], packed.
// With x_rows / y_rows the i-th row read / written is x_rows[i] / y_rows[i] (experts gather and scatter).
struct MatmulArgs {
  const void* x = nullptr;        // [*, k] rows in the family's activation type; row stride row_bytes(activation, k)
  float* y = nullptr;             // [*, n] rows of y_stride floats
  int64_t y_stride = 0;
  const void* packed = nullptr;   // from pack(), 64-byte aligned
  int64_t rows = 0;               // rows of x to compute
  int64_t n = 0;
  int64_t k = 0;
  const int32_t* x_rows = nullptr;
  const int32_t* y_rows = nullptr;
};

// Weights of one type on one instruction set: ONE arithmetic id for every number of rows (docs/ARCHITECTURE.md; what
// each family computes, to the bit, is in kernels/reference/matmul.h). Ask matmul_family() for the one to use.
struct MatmulFamily {
  DType weight;                  // as stored in the file
  DType activation;              // kF32, kActBF16, kActQ8 or kActQ8x32
  std::string_view layout;       // name of the packed layout, part of the key of cached packed weights
  std::string_view arithmetic;   // e.g. "q4_k.fma.1"; equal ids promise equal bits
  // Bytes of a packed [n, k] matrix, a multiple of 64; so a stack of matrices is one after the other.
  size_t (*packed_bytes)(int64_t n, int64_t k);
  // rows[i] points at row i of the source (k elements of type `weight`, any alignment). Packs [row_begin, row_end);
  // row_begin is a multiple of kPackRows and row_end too, unless it is n. Rows beyond n in the last group are zeros.
  void (*pack)(void* packed, const void* const* rows, int64_t n, int64_t k, int64_t row_begin, int64_t row_end);
  // out[j, :] = numbers [k_begin, k_end) of the dequantized row row_begin + j, fp32, bit for bit as dequantize_row gives
  // them; [row_end - row_begin, k_end - k_begin]. k_begin is a multiple of 256; k_end too, unless it is k. Embedding
  // look-ups and dx use it.
  void (*unpack)(float* out, const void* packed, int64_t n, int64_t k, int64_t row_begin, int64_t row_end,
                 int64_t k_begin, int64_t k_end);
  // Work is split in tiles over n and rows; run() computes tiles [begin, end), in any order, on any thread.
  int64_t (*tiles)(const MatmulArgs& args);
  void (*run)(const MatmulArgs& args, int64_t tile_begin, int64_t tile_end);
  // The family for k that is no multiple of the activation's block; null: no such k.
  const MatmulFamily* other_k = nullptr;
};
inline constexpr int64_t kPackRows = 64;

// Attention over a paged cache (docs/ARCHITECTURE.md, "cache layout"). One call serves prefill and decode, MHA, GQA,
// MQA and MLA. For MLA the cached row is [latent | rope part] with n_kv_heads = 1, and the value is its first v_dim
// numbers.
//
// Cache: block b of this layer begins at cache + b * block_bytes; it holds kBlockTokens tokens of K, then of V:
//   K: [n_kv_heads][k_dim][kBlockTokens]   (tokens are the lanes of the scores)
//   V: [n_kv_heads][kBlockTokens][v_dim]   (absent when value_is_key_prefix)
// Of type kBF16 in pairs, for instructions that multiply two neighbours and add:
//   K: [n_kv_heads][k_dim / 2, rounded up][kBlockTokens][2]   (the partner of a last odd one is zero)
//   V: [n_kv_heads][kBlockTokens / 2][v_dim][2]               (of two positions)
// Of the types kQ8_0 and kQ4_0 (options call them Q8 and Q4) a kv head's K and V are groups g of kCacheGroup numbers i,
// each of which stands for scale * code:
//   K: kQ8_0  int8 code [g][i][kBlockTokens]      kQ4_0  byte [g][i % 16][kBlockTokens], code of i in nibble i / 16
//   V: kQ8_0  int8 code [kBlockTokens][g][i]      kQ4_0  byte [kBlockTokens][g][i % 16], the same
//   then binary16 scale, K: [g][kBlockTokens], V: [kBlockTokens][g]
// code = round(x / scale), ties to even; kQ8_0: scale = largest |x| / 127; kQ4_0: code in [-8, 7] (two's complement),
// and the scale's sign is such that the x of largest magnitude has code -8. A group with a number that is not finite has
// scale NaN and codes 0.
// Slots not written yet are zero. A sequence's token at position p sits in block block_table[p / kBlockTokens], slot
// p % kBlockTokens.
inline constexpr int kBlockTokens = 16;
// Softmax partials are closed every kPartialTokens positions, counted from absolute position 0, and merged ascending.
inline constexpr int kPartialTokens = 512;
// Rows of AttentionArgs::partials: 256 tokens of 32 heads, or 128 k tokens of context of one sequence with them.
inline constexpr int kPartialRows = 8192;

// Numbers of a quantized cache share a scale by kCacheGroup along k_dim or v_dim; the last group is filled up with zeros.
inline constexpr int kCacheGroup = 32;

struct CacheShape {
  DType type = DType::kF16;       // kF32, kF16, kBF16, kQ8_0 or kQ4_0
  int n_kv_heads = 0;
  int k_dim = 0;
  int v_dim = 0;
  bool value_is_key_prefix = false;  // MLA: no V is stored
  size_t key_bytes() const;       // of one kv head in a block
  size_t value_bytes() const;     // the same
  size_t block_bytes() const;
};
// Whether a cache may be of this type.
bool is_cache_type(DType type);

struct CacheWriteArgs {
  CacheShape shape;
  void* cache = nullptr;
  const float* k = nullptr;         // [tokens, n_kv_heads, k_dim]
  const float* v = nullptr;         // [tokens, n_kv_heads, v_dim], null when value_is_key_prefix
  const int64_t* slots = nullptr;   // [tokens]: block * kBlockTokens + slot; negative: not written
};

// Attention with linear biases (https://arxiv.org/abs/2108.12409): slopes[head] * p joins q . k of the token at
// position p before both are scaled. Softmax sees differences only, so this is the published bias by distance.
struct Alibi {
  const float* slopes = nullptr;  // [n_heads] or null: none
  bool rounded = false;           // slopes are bfloat16; p and the product are rounded to it: Falcon
};

struct AttentionArgs {
  CacheShape shape;
  const void* cache = nullptr;
  const float* q = nullptr;         // [tokens, n_heads, k_dim]
  float* out = nullptr;             // [tokens, n_heads, v_dim]
  float* log_sum_exp = nullptr;     // [tokens, n_heads] or null
  int n_heads = 0;
  float scale = 1;
  float softcap = 0;                // 0: none; else scores = softcap * tanh(scores / softcap)
  int window = 0;                   // 0: none; else only the last `window` positions, the own included
  const float* sinks = nullptr;     // [n_heads] or null: an extra logit per head that takes weight and gives nothing
  Alibi alibi = {};                 // joins the scores before the softcap
  // The batch: sequence s owns queries [query_begin[s], query_begin[s + 1]); its context after this step is
  // context_len[s] tokens; query i of it stands at position context_len[s] - n_queries + i.
  int n_sequences = 0;
  const int32_t* query_begin = nullptr;   // [n_sequences + 1]
  const int32_t* context_len = nullptr;   // [n_sequences]
  const int32_t* block_table = nullptr;   // [n_sequences, block_table_stride]
  int64_t block_table_stride = 0;
  // [kPartialRows, 16 + v_dim rounded up to 16], shared by all threads of the call: where partials of a long context
  // that are computed apart wait to be merged. Null: no context is split. The bits are the same.
  float* partials = nullptr;
};

struct RopeArgs {
  float* x = nullptr;                  // [rows, n_heads, head_dim], rotated in place
  int64_t row_stride = 0;              // floats between rows
  const int32_t* positions = nullptr;  // [rows]
  int n_heads = 0;
  int head_dim = 0;
  int rotary_dim = 0;                  // the first rotary_dim numbers of a head rotate (rotary_offset further)
  int rotary_offset = 0;
  bool interleaved = false;            // pairs (2i, 2i+1) instead of (i, i + rotary_dim/2)
  bool inverse = false;                // rotate backwards: the gradient
  const float* inv_freq = nullptr;     // [rotary_dim / 2]
  const float* long_inv_freq = nullptr;  // the same for rows with long_rows[row] != 0
  const int32_t* long_rows = nullptr;    // [rows], or null: all rows use inv_freq
  float magnitude = 1;                 // factor on cos and sin (yarn, longrope)
};

enum class Activation : uint8_t { kSilu, kGelu, kGeluTanh, kRelu, kRelu2, kSigmoid, kTanh };

inline constexpr int kMaxExperts = 1024;  // the most n_experts of route

struct RouteArgs {
  const float* logits = nullptr;   // [rows, n_experts]
  const float* bias = nullptr;     // [n_experts] or null: added for the choice only
  int32_t* ids = nullptr;          // [rows, n_used], in router rank, ties to the lower id
  float* weights = nullptr;        // [rows, n_used]
  int n_experts = 0;
  int n_used = 0;
  enum class Score : uint8_t { kSoftmax, kSigmoid, kSoftmaxOfChosen } score = Score::kSoftmax;
  bool normalize = false;          // divide the chosen weights by their sum (+1e-20)
  float scale = 1;
  int n_groups = 1;                // first the n_groups_used best groups of experts are chosen
  int n_groups_used = 1;
  int n_group_best = 2;            // a group is as good as the sum of its 1 (DeepSeek-V2) or 2 (V3) best experts
};

// Attention of encoders and of training: the same flat [tokens], but k and v in plain rows and no cache. Segment s is the
// tokens [segment_begin[s], segment_begin[s + 1]); a token sees its own segment, if causal up to itself. The arithmetic
// is that of attention over a cache of type F32, positions counted from the segment's first token.
struct SegmentAttentionArgs {
  const float* q = nullptr;         // [tokens, n_heads, k_dim]
  const float* k = nullptr;         // [tokens, n_kv_heads, k_dim]
  const float* v = nullptr;         // [tokens, n_kv_heads, v_dim]
  float* out = nullptr;             // [tokens, n_heads, v_dim]; written forward, read by the gradient
  float* log_sum_exp = nullptr;     // [tokens, n_heads]; the same
  int n_heads = 0;
  int n_kv_heads = 0;
  int k_dim = 0;
  int v_dim = 0;
  float scale = 1;
  float softcap = 0;                // as in AttentionArgs
  int window = 0;                   // causal: as in AttentionArgs; else only positions up to window / 2 away
  int n_segments = 0;
  const int32_t* segment_begin = nullptr;  // [n_segments + 1], as Batch::query_begin
  bool causal = true;
  const float* sinks = nullptr;     // as in AttentionArgs; their gradient: sinks_grad
  Alibi alibi = {};                 // the same, positions counted from the segment's first token
};

// Gradient of segment_attention. Probabilities are computed again from log_sum_exp: nothing of size tokens^2 is kept.
struct SegmentAttentionGradArgs {
  SegmentAttentionArgs forward;     // with out and log_sum_exp as the forward call left them
  const float* dout = nullptr;      // [tokens, n_heads, v_dim]
  float* dq = nullptr;              // [tokens, n_heads, k_dim]     all three are overwritten; sums run over blocks of
  float* dk = nullptr;              // [tokens, n_kv_heads, k_dim]  queries, within one over heads of the group
  float* dv = nullptr;              // [tokens, n_kv_heads, v_dim]
};

// Gradient of the sinks of segment_attention: -sum_t e^(sink - log_sum_exp[t]) * (dout[t] . out[t]), t ascending.
struct SinksGradArgs {
  const float* sinks = nullptr;        // [n_heads]
  const float* out = nullptr;          // [tokens, n_heads, v_dim]
  const float* log_sum_exp = nullptr;  // [tokens, n_heads]
  const float* dout = nullptr;         // [tokens, n_heads, v_dim]
  int64_t tokens = 0;
  int n_heads = 0;
  int v_dim = 0;
};

struct CrossEntropyArgs {
  const float* logits = nullptr;    // [rows, vocab]
  const int32_t* targets = nullptr; // [rows]; negative: the row is ignored, its loss and gradient are 0
  float* loss = nullptr;            // [rows] -log softmax(logits)[target] in nats, times the row's weight
  float* dlogits = nullptr;         // [rows, vocab] = (softmax - onehot) * scale, or null; may be `logits` itself
  int64_t vocab = 0;
  float scale = 1;                  // e.g. 1 / counted targets for the gradient of the mean
  const float* weights = nullptr;   // [rows] or null: factors of the rows' losses and gradients
  float* log_sum_exp = nullptr;     // [rows] or null; 0 of rows that are ignored
};

// Columns [first, first + n) of cross_entropy's dlogits from the logits' log_sum_exp, which it gave: a head can walk over
// its rows, without all logits in memory.
struct CrossEntropyColumnsArgs {
  float* z = nullptr;                  // [rows, n] logits in, gradients out
  const float* log_sum_exp = nullptr;  // [rows]
  const int32_t* targets = nullptr;    // [rows]
  const float* weights = nullptr;      // [rows] or null
  int64_t n = 0;
  int64_t first = 0;
  float scale = 1;
};

// The `k` most probable tokens of each row with their probabilities softmax(logits / temperature): what a teacher says of
// it, without [rows, vocab].
struct TopProbabilitiesArgs {
  float* logits = nullptr;         // [rows, vocab]; changed
  int32_t* ids = nullptr;          // [rows, k] most probable first, ties to the lower id
  float* probabilities = nullptr;  // [rows, k + 1]: the last is that of all other tokens together
  int64_t vocab = 0;
  int64_t k = 0;                   // 1 ... vocab
  float temperature = 1;
};

// A row's loss is weights * ((1 - share) * cross-entropy + share * temperature^2 * D), D the divergence between the
// teacher's distribution p and q = softmax(logits / temperature) over k + 1 outcomes: the k tokens of `ids`, and all
// others together, of which the teacher says only how probable they are.
//   beta 0:   D = sum p log(p / q)
//   beta 1:   D = sum q log(q / p)
//   between:  D = beta * sum p log(p / m) + (1 - beta) * sum q log(q / m), m = beta * p + (1 - beta) * q
// (Kullback and Leibler's divergence, the reversed one, and the generalized one of Jensen and Shannon.) Its gradient by
// logit j, with Q, P, M those of "all others": share * temperature * g, and g =
//   beta 0:   q - p of the k tokens, q * (1 - P / Q) of all others
//   beta 1:   q * (log(q / p) - D) of the k tokens, q * (log(Q / P) - D) of all others
//   between:  q * (s - S) with s = (1 - beta) * log(q / m), of all others (1 - beta) * log(Q / M), and S = sum q s
struct DistillArgs {
  float* logits = nullptr;                 // [rows, vocab]; changed
  const int32_t* targets = nullptr;        // [rows], negative: the row counts for nothing
  const int32_t* ids = nullptr;            // [rows, k], different ones
  const float* probabilities = nullptr;    // [rows, k + 1]
  float* loss = nullptr;                   // [rows]
  float* divergence = nullptr;             // [rows] D times the row's weight
  // [rows, 3 + k]: log-sum-exp of the logits, of logits / temperature, g / q of all others; then each of the k tokens'
  // gradient (as if none were the target), before weights and scale.
  float* record = nullptr;
  float* dlogits = nullptr;                // as CrossEntropyArgs has it; null, or `logits`
  int64_t vocab = 0;
  int64_t k = 0;
  float temperature = 1;
  float share = 1;
  float beta = 0;
  float scale = 1;
  const float* weights = nullptr;          // [rows] or null
  const float* shares = nullptr;           // [rows] in the place of share, or null
};

// Columns [first, first + n) of distill's dlogits, from what it recorded.
struct DistillColumnsArgs {
  float* z = nullptr;               // [rows, n] logits in, gradients out
  const float* record = nullptr;    // [rows, 3 + k]
  const int32_t* ids = nullptr;     // [rows, k]
  const int32_t* targets = nullptr; // [rows]
  const float* weights = nullptr;   // [rows] or null
  int64_t n = 0;
  int64_t first = 0;
  int64_t k = 0;
  float temperature = 1;
  float share = 1;
  float scale = 1;
  const float* shares = nullptr;    // [rows] in the place of share, or null
};

// A step of an optimizer on n numbers, each for itself: every table gives the same bits, however a parameter is split.
struct OptimizerArgs {
  float* values = nullptr;
  const float* gradient = nullptr;
  float* first = nullptr;   // what the optimizer remembers of each number
  float* second = nullptr;  // the same; AdamW alone
  int64_t n = 0;
  float scale = 1;  // g = gradient * scale
  float keep = 1;   // of the values: what weight decay leaves
  float rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float root = 1;  // AdamW: of the second memory's square root
  float epsilon = 0;
};

struct CpuKernels {
  std::string_view name;           // "reference", "generic", "avx2", "avx512vnni", "avx512"
  // Attention over a cache of kBF16, kQ8_0 or kQ4_0 multiplies pairs of bfloat16 numbers, twice as fast as fp32: what the
  // cache stands for, q, scaled, and p are rounded to it. Else, and of the other types, it computes in fp32.
  bool attends_in_bfloat = false;
  const MatmulFamily* const* matmul;  // [kDTypeCount], by weight type; null: the generic table's. See matmul_family().

  // dst rows of `type` (kActQ8, kActQ8x32, kActBF16) from fp32 rows [rows, k]. Scales are per row and fixed K blocks.
  void (*to_activation)(DType type, void* dst, const float* x, int64_t rows, int64_t k);
  // dw[n, k] += sum_i dy[i, n] * x[i, k], i ascending; computes rows [n_begin, n_end) of dw, columns [k_begin, k_end).
  // Blocks of 132 by 256 or more hide the bringing together of their factors.
  void (*matmul_dw)(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
                    int64_t n_end, int64_t k_begin, int64_t k_end);
  // dx[rows, k] = sum_n dy[rows, n] * w[n, :], n ascending; rows [row_begin, row_end), columns [k_begin, k_end). w: the
  // dequantized weight that the family packed, k_begin a multiple of 256, k_end too, unless it is k; or, without family,
  // rows of fp32. Each call brings its columns of w together: hundreds of rows hide that.
  void (*matmul_dx)(float* dx, const float* dy, const MatmulFamily* family, const void* w, int64_t n, int64_t k,
                    int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end);
  // The same of bfloat16 numbers: dy, x and rows of w as kActBF16 has them. Sums are fp32, in the arithmetic that the
  // table's family for BF16 weights has (pairs of summands where the processor multiplies pairs).
  void (*matmul_dw_bfloat)(float* dw, const void* dy, const void* x, int64_t rows, int64_t n, int64_t k,
                           int64_t n_begin, int64_t n_end, int64_t k_begin, int64_t k_end);
  void (*matmul_dx_bfloat)(float* dx, const void* dy, const void* w, int64_t n, int64_t k, int64_t row_begin,
                           int64_t row_end, int64_t k_begin, int64_t k_end);
  // fp32 from numbers of kActBF16.
  void (*from_activation)(float* to, const void* from, int64_t n);
  // Elementwise outputs may alias their inputs, y of a norm or softmax its x. Slices of an elementwise call, and rows
  // of a call by rows, may be computed by calls of their own (pointers offset) and give the same bits.
  // rms_norm: y = x / sqrt(mean(x^2) + eps) * (w + w_offset); w may be null (w + w_offset is then 1).
  void (*rms_norm)(float* y, const float* x, const float* w, int64_t rows, int64_t dim, float eps, float w_offset);
  // layer_norm: y = (x - mean(x)) / sqrt(variance(x) + eps) * (w + w_offset) + b; w and b may be null.
  void (*layer_norm)(float* y, const float* x, const float* w, const float* b, int64_t rows, int64_t dim, float eps,
                     float w_offset);
  void (*add)(float* y, const float* a, const float* b, int64_t n);
  void (*mul)(float* y, const float* a, const float* b, int64_t n);
  void (*scale)(float* y, const float* x, float factor, int64_t n);
  void (*clamp)(float* y, const float* x, float limit, int64_t n);  // to [-limit, limit]; NaN stays
  void (*add_bias)(float* y, const float* x, const float* b, int64_t rows, int64_t dim);
  void (*activate)(Activation, float* y, const float* x, int64_t n);
  void (*gated)(Activation, float* y, const float* gate, const float* up, int64_t n);  // act(gate) * up
  // gpt-oss: with g = min(gate, limit) and u = up between -limit and limit, y = (u + 1) * g * sigmoid(alpha * g).
  void (*clamped_gated)(float* y, const float* gate, const float* up, float alpha, float limit, int64_t n);
  void (*softmax)(float* y, const float* x, int64_t rows, int64_t dim);
  void (*rope)(const RopeArgs&, int64_t row_begin, int64_t row_end);
  void (*route)(const RouteArgs&, int64_t row_begin, int64_t row_end);
  // out[t, :] = sum_r weights[t, r] * y[t * n_used + r, :], r ascending.
  void (*combine)(float* out, const float* y, const float* weights, int64_t dim, int n_used, int64_t row_begin,
                  int64_t row_end);
  // y[i, h, :] = sum_k x[i, h, k] * w[h, :, k]: one small matmul per head, fp32; w [n_heads, n, k] fp32.
  void (*head_matmul)(float* y, const float* x, const float* w, int n_heads, int64_t n, int64_t k,
                      int64_t row_begin, int64_t row_end);

  void (*cache_write)(const CacheWriteArgs&, int64_t token_begin, int64_t token_end);
  // Asked once before each call, by one thread: it also makes `partials` ready.
  int64_t (*attention_items)(const AttentionArgs&);
  // Bytes per thread, aligned to 64; contents do not matter. Depends on shape, cache type and n_heads, not on the batch.
  size_t (*attention_workspace)(const AttentionArgs&);
  void (*attention)(const AttentionArgs&, int64_t item_begin, int64_t item_end, void* workspace);

  // Training. Sums over rows run ascending; what threads split is named by the pair of bounds (rms_norm_dx: rows).
  // r = 1 / sqrt(mean(x^2) + eps) of each row.
  void (*rms_norm_dx)(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim,
                      float eps, float w_offset);
  // dw[j] += sum_i dy[i, j] * x[i, j] * r[i] for j in [dim_begin, dim_end).
  void (*rms_norm_dw)(float* dw, const float* dy, const float* x, int64_t rows, int64_t dim, float eps,
                      int64_t dim_begin, int64_t dim_end);
  // dx = dy * act'(x). dx may alias dy.
  void (*activate_grad)(Activation, float* dx, const float* dy, const float* x, int64_t n);
  // dgate = dy * up * act'(gate), dup = dy * act(gate). dgate and dup may alias gate and up, or dy.
  void (*gated_grad)(Activation, float* dgate, float* dup, const float* dy, const float* gate, const float* up,
                     int64_t n);
  // The same for clamped_gated; where a clamp holds, its gradient is 0.
  void (*clamped_gated_grad)(float* dgate, float* dup, const float* dy, const float* gate, const float* up, float alpha,
                             float limit, int64_t n);
  // With y, weights as combine had them: dy[t * n_used + r, :] = weights[t, r] * dout[t, :] and dweights[t, r] = dout[t]
  // . y[t * n_used + r]; rows are tokens.
  void (*combine_grad)(float* dy, float* dweights, const float* dout, const float* y, const float* weights, int64_t dim,
                       int n_used, int64_t row_begin, int64_t row_end);
  // dlogits [rows, n_experts] from dweights [rows, n_used]; args as route had them, with the ids it gave (its weights are
  // not read). The choice itself has no gradient.
  void (*route_grad)(float* dlogits, const float* dweights, const RouteArgs& args, int64_t row_begin, int64_t row_end);
  // db[j] += sum_i dy[i, j] for j in [dim_begin, dim_end): the gradient of add_bias.
  void (*add_bias_grad)(float* db, const float* dy, int64_t rows, int64_t dim, int64_t dim_begin, int64_t dim_end);
  int64_t (*segment_attention_items)(const SegmentAttentionArgs&);
  // As attention_workspace, for both directions; depends on the shape only, not on the segments.
  size_t (*segment_attention_workspace)(const SegmentAttentionArgs&);
  void (*segment_attention)(const SegmentAttentionArgs&, int64_t item_begin, int64_t item_end, void* workspace);
  int64_t (*segment_attention_grad_items)(const SegmentAttentionArgs&);
  void (*segment_attention_grad)(const SegmentAttentionGradArgs&, int64_t item_begin, int64_t item_end,
                                 void* workspace);
  void (*cross_entropy)(const CrossEntropyArgs&, int64_t row_begin, int64_t row_end);
  void (*cross_entropy_columns)(const CrossEntropyColumnsArgs&, int64_t row_begin, int64_t row_end);
  void (*top_probabilities)(const TopProbabilitiesArgs&, int64_t row_begin, int64_t row_end);
  void (*distill)(const DistillArgs&, int64_t row_begin, int64_t row_end);
  void (*distill_columns)(const DistillColumnsArgs&, int64_t row_begin, int64_t row_end);
  // dw[ids[t], :] += dy[t, :] for tokens t ascending with ids[t] in [id_begin, id_end). dw: [vocab, dim].
  void (*embed_grad)(float* dw, const float* dy, const int32_t* ids, int64_t tokens, int64_t dim, int32_t id_begin,
                     int32_t id_end);
  // With n = (x - mean) / sqrt(variance + eps) of each row: the gradient of layer_norm by x; and dw[j] += sum_i dy[i, j] *
  // n[i, j] for j in [dim_begin, dim_end), rows row_stride floats apart.
  void (*layer_norm_dx)(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim,
                        float eps, float w_offset);
  void (*layer_norm_dw)(float* dw, const float* dy, const float* x, int64_t rows, int64_t row_stride, int64_t dim,
                        float eps, int64_t dim_begin, int64_t dim_end);
  void (*softmax_grad)(float* dx, const float* dy, const float* y, int64_t rows, int64_t dim);  // from its result y
  // dy where -limit <= x <= limit, else 0.
  void (*clamp_grad)(float* dx, const float* dy, const float* x, float limit, int64_t n);
  // The gradients of head_matmul. dx[i, h, :] = sum_n dy[i, h, n] * w[h, n, :], n ascending; of dw [n_heads * n, k] the
  // rows [begin, end): += sum_i dy[i, h, n] * x[i, h, :], i ascending.
  void (*head_matmul_dx)(float* dx, const float* dy, const float* w, int n_heads, int64_t n, int64_t k,
                         int64_t row_begin, int64_t row_end);
  void (*head_matmul_dw)(float* dw, const float* dy, const float* x, int64_t rows, int n_heads, int64_t n, int64_t k,
                         int64_t begin, int64_t end);
  void (*sinks_grad)(float* dsinks, const SinksGradArgs&, int head_begin, int head_end);

  // m = m * beta1 + g * (1 - beta1), v = v * beta2 + g^2 * (1 - beta2), w = w * keep - rate * m / (sqrt(v) * root +
  // epsilon), with m, v, w the first, second and values.
  void (*adamw)(const OptimizerArgs&);
  // m = m * beta1 + g, w = w * keep - rate * m.
  void (*sgd)(const OptimizerArgs&);
  // w = w * keep - rate * sign(m * beta1 + g * (1 - beta1)), m = m * beta2 + g * (1 - beta2).
  void (*lion)(const OptimizerArgs&);

  // Low-rank adapters; rows of x and y have the width of the factor. How rows are split among calls changes no bit.
  // low[i, r] = scale * sum_k x[i, k] * a[r, k] for r in [begin, end): whole groups of a, whose group is kAdapterRows.
  void (*lora_down)(float* low, int64_t low_stride, const float* x, int64_t rows, const AdapterFactor& a, float scale,
                    int64_t begin, int64_t end);
  // y[i, j] += sum_r low[i, r] * b[r, j], r ascending, for j in [begin, end): whole blocks of b, which is one group.
  void (*lora_up)(float* y, const float* low, int64_t low_stride, int64_t rows, const AdapterFactor& b, int64_t begin,
                  int64_t end);
};

extern const CpuKernels kReferenceKernels;  // kernels/reference/
extern const CpuKernels kGenericKernels;    // kernels/cpu/generic/
extern const CpuKernels kAvx2Kernels;       // kernels/cpu/avx2/ (AVX2, FMA, F16C)
extern const CpuKernels kAvx512VnniKernels;  // kernels/cpu/avx512vnni/ and avx512/ (F, BW, VL, DQ, VNNI)
extern const CpuKernels kAvx512Kernels;     // kernels/cpu/avx512/ (the same and BF16)

// The family for weights of this type with rows of k numbers: quantized weights use one activation scale per 256 numbers,
// or per 32 where k is no multiple of 256. Null: the table has none, or k is no multiple of the weight's block.
const MatmulFamily* matmul_family(const CpuKernels& kernels, DType weight, int64_t k);

// True when this processor can run the table.
bool is_supported(const CpuKernels& kernels);
// The best supported table, or the one of this name; nullptr: unknown or unsupported.
const CpuKernels* find_cpu_kernels(std::optional<std::string_view> isa = std::nullopt);
// Names of the tables built into this binary that this processor can run, best first.
std::string supported_isa_names();

}  // namespace strata
