#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compute/kernels/reference/ops.h"
#include "compute/tensor/half.h"

namespace strata::reference {
namespace {

// Where K or V of kv head `head` in `block` begins.
size_t begin_of(const CacheShape& shape, int64_t block, int head, bool value) {
  const size_t heads = static_cast<size_t>(head), begin = static_cast<size_t>(block) * shape.block_bytes();
  if (!value) return begin + heads * shape.key_bytes();
  return begin + static_cast<size_t>(shape.n_kv_heads) * shape.key_bytes() + heads * shape.value_bytes();
}

// Where number `d` of the token in `slot` lies in K or V of its kv head, counted in numbers.
int64_t plain_index(DType type, int64_t dim, int64_t slot, int64_t d, bool value) {
  if (type == DType::kBF16) {
    return value ? (slot / 2 * dim + d) * 2 + slot % 2 : (d / 2 * kBlockTokens + slot) * 2 + d % 2;
  }
  return value ? slot * dim + d : d * kBlockTokens + slot;
}

// The same of a quantized cache: its code in bytes, its scale in binary16 from the end of the codes on.
struct Quantized {
  int64_t code, scale;
  bool high;  // the upper nibble
};
Quantized quantized_index(const CacheShape& shape, int64_t dim, int64_t slot, int64_t d, bool value) {
  const int64_t groups = (dim + kCacheGroup - 1) / kCacheGroup, g = d / kCacheGroup;
  const int64_t bytes = shape.type == DType::kQ4_0 ? kCacheGroup / 2 : kCacheGroup, i = d % kCacheGroup % bytes;
  const int64_t scale = value ? slot * groups + g : g * kBlockTokens + slot;
  const int64_t code = value ? scale * bytes + i : (g * bytes + i) * kBlockTokens + slot;
  return {code, groups * bytes * kBlockTokens / 2 + scale, d % kCacheGroup >= bytes};
}

double load(const CacheShape& shape, const void* cache, int64_t block, int head, int64_t slot, int d, bool value) {
  value = value && !shape.value_is_key_prefix;
  const char* base = static_cast<const char*>(cache) + begin_of(shape, block, head, value);
  const int64_t dim = value ? shape.v_dim : shape.k_dim, plain = plain_index(shape.type, dim, slot, d, value);
  if (shape.type == DType::kF32) return reinterpret_cast<const float*>(base)[plain];
  if (shape.type == DType::kF16) return half_to_float(reinterpret_cast<const uint16_t*>(base)[plain]);
  if (shape.type == DType::kBF16) return bfloat16_to_float(reinterpret_cast<const uint16_t*>(base)[plain]);
  const Quantized at = quantized_index(shape, dim, slot, d, value);
  int code = reinterpret_cast<const int8_t*>(base)[at.code];
  if (shape.type == DType::kQ4_0) code = at.high ? code >> 4 : ((code & 15) ^ 8) - 8;
  return half_to_float(reinterpret_cast<const uint16_t*>(base)[at.scale]) * static_cast<float>(code);
}

void write_group(const CacheShape& shape, char* base, int64_t dim, int64_t slot, int64_t begin, const float* x,
                 bool value) {
  const bool four_bits = shape.type == DType::kQ4_0;
  const int64_t n = std::min<int64_t>(kCacheGroup, dim - begin);
  float high = 0, low = 0;
  bool bad = false;
  for (int64_t i = 0; i < n; ++i) {
    bad = bad || !std::isfinite(x[i]);
    high = std::max(high, x[i]);
    low = std::max(low, -x[i]);
  }
  float scale = four_bits ? (high > low ? -high / 8 : low / 8) : std::max(high, low) / 127;
  if (bad) scale = 0;
  const uint16_t half = float_to_half(std::clamp(scale, -65504.0f, 65504.0f));
  const float rounded = half_to_float(half), inverse = rounded == 0 ? 0 : 1 / rounded;
  for (int64_t i = 0; i < n; ++i) {
    const float scaled = bad ? 0 : std::clamp(x[i] * inverse, four_bits ? -8.0f : -127.0f, four_bits ? 7.0f : 127.0f);
    const int code = static_cast<int>(std::nearbyint(scaled));
    const Quantized at = quantized_index(shape, dim, slot, begin + i, value);
    auto* byte = reinterpret_cast<uint8_t*>(base) + at.code;
    if (!four_bits) *byte = static_cast<uint8_t>(code);
    if (four_bits) *byte = static_cast<uint8_t>(at.high ? (*byte & 15) | code * 16 : (*byte & 0xf0) | (code & 15));
  }
  const Quantized at = quantized_index(shape, dim, slot, begin, value);
  reinterpret_cast<uint16_t*>(base)[at.scale] = bad ? uint16_t{0x7e00} : half;
}

void write_row(const CacheShape& shape, void* cache, int64_t block, int head, int64_t slot, const float* x, bool value) {
  char* base = static_cast<char*>(cache) + begin_of(shape, block, head, value);
  const int64_t dim = value ? shape.v_dim : shape.k_dim;
  if (is_quantized(shape.type)) {
    for (int64_t d = 0; d < dim; d += kCacheGroup) write_group(shape, base, dim, slot, d, x + d, value);
    return;
  }
  for (int64_t d = 0; d < dim; ++d) {
    const int64_t at = plain_index(shape.type, dim, slot, d, value);
    if (shape.type == DType::kF32) reinterpret_cast<float*>(base)[at] = x[d];
    if (shape.type == DType::kF16) reinterpret_cast<uint16_t*>(base)[at] = float_to_half(x[d]);
    if (shape.type == DType::kBF16) reinterpret_cast<uint16_t*>(base)[at] = float_to_bfloat16(x[d]);
  }
}

struct Query {
  int64_t row;  // in q and out
  int sequence;
  int position;
  int head;
};

void attend(const AttentionArgs& args, const Query& query) {
  const CacheShape& shape = args.shape;
  const int kv_head = query.head / (args.n_heads / shape.n_kv_heads);
  const int32_t* blocks = args.block_table + query.sequence * args.block_table_stride;
  const float* q = args.q + (query.row * args.n_heads + query.head) * shape.k_dim;
  const int first = args.window > 0 ? std::max(0, query.position - args.window + 1) : 0;

  std::vector<double> weights;
  double largest = args.sinks != nullptr ? args.sinks[query.head] : -std::numeric_limits<double>::infinity();
  for (int p = first; p <= query.position; ++p) {
    double score = 0;
    for (int d = 0; d < shape.k_dim; ++d) {
      score += q[d] * load(shape, args.cache, blocks[p / kBlockTokens], kv_head, p % kBlockTokens, d, false);
    }
    score = (score + alibi_bias(args.alibi, query.head, p)) * args.scale;
    if (args.softcap > 0) score = args.softcap * std::tanh(score / args.softcap);
    largest = std::max(largest, score);
    weights.push_back(score);
  }
  double sum = args.sinks != nullptr ? std::exp(args.sinks[query.head] - largest) : 0.0;
  for (double& w : weights) sum += w = std::exp(w - largest);

  const int64_t out_head = query.row * args.n_heads + query.head;
  for (int d = 0; d < shape.v_dim; ++d) {
    double value = 0;
    for (int p = first; p <= query.position; ++p) {
      value += weights[p - first] *
               load(shape, args.cache, blocks[p / kBlockTokens], kv_head, p % kBlockTokens, d, true);
    }
    args.out[out_head * shape.v_dim + d] = static_cast<float>(value / sum);
  }
  if (args.log_sum_exp != nullptr) args.log_sum_exp[out_head] = static_cast<float>(largest + std::log(sum));
}

}  // namespace

double alibi_bias(const Alibi& alibi, int head, int position) {
  if (alibi.slopes == nullptr) return 0;
  const auto rounded = [&](float v) { return alibi.rounded ? bfloat16_to_float(float_to_bfloat16(v)) : v; };
  return rounded(alibi.slopes[head] * rounded(static_cast<float>(position)));
}

void cache_write(const CacheWriteArgs& args, int64_t token_begin, int64_t token_end) {
  const CacheShape& shape = args.shape;
  for (int64_t t = token_begin; t < token_end; ++t) {
    if (args.slots[t] < 0) continue;
    const int64_t block = args.slots[t] / kBlockTokens, slot = args.slots[t] % kBlockTokens;
    for (int head = 0; head < shape.n_kv_heads; ++head) {
      write_row(shape, args.cache, block, head, slot, args.k + (t * shape.n_kv_heads + head) * shape.k_dim, false);
      if (shape.value_is_key_prefix) continue;
      write_row(shape, args.cache, block, head, slot, args.v + (t * shape.n_kv_heads + head) * shape.v_dim, true);
    }
  }
}

// An item is one head of one query.
int64_t attention_items(const AttentionArgs& args) {
  return static_cast<int64_t>(args.query_begin[args.n_sequences] - args.query_begin[0]) * args.n_heads;
}

size_t attention_workspace(const AttentionArgs&) { return 0; }

void attention(const AttentionArgs& args, int64_t item_begin, int64_t item_end, void*) {
  for (int64_t item = item_begin; item < item_end; ++item) {
    Query query;
    query.row = args.query_begin[0] + item / args.n_heads;
    query.head = static_cast<int>(item % args.n_heads);
    query.sequence = 0;
    while (query.row >= args.query_begin[query.sequence + 1]) ++query.sequence;
    const int64_t queries_left = args.query_begin[query.sequence + 1] - query.row;
    query.position = static_cast<int>(args.context_len[query.sequence] - queries_left);
    attend(args, query);
  }
}

}  // namespace strata::reference
