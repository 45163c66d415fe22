#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compute/kernels/reference/ops.h"
#include "compute/tensor/half.h"

namespace strata::reference {
namespace {

void store(const CacheShape& shape, void* cache, int64_t index, float value) {
  if (shape.type == DType::kF16) {
    static_cast<uint16_t*>(cache)[index] = float_to_half(value);
  } else {
    static_cast<float*>(cache)[index] = value;
  }
}

double load(const CacheShape& shape, const void* cache, int64_t index) {
  if (shape.type == DType::kF16) return half_to_float(static_cast<const uint16_t*>(cache)[index]);
  return static_cast<const float*>(cache)[index];
}

// Where number `d` of the key / value of kv head `head` in `slot` of `block` lies, counted in numbers.
int64_t block_numbers(const CacheShape& shape) {
  const int per_token = shape.k_dim + (shape.value_is_key_prefix ? 0 : shape.v_dim);
  return static_cast<int64_t>(shape.n_kv_heads) * kBlockTokens * per_token;
}
int64_t key_index(const CacheShape& shape, int64_t block, int head, int64_t slot, int d) {
  return block * block_numbers(shape) + (static_cast<int64_t>(head) * shape.k_dim + d) * kBlockTokens + slot;
}
int64_t value_index(const CacheShape& shape, int64_t block, int head, int64_t slot, int d) {
  if (shape.value_is_key_prefix) return key_index(shape, block, head, slot, d);
  return block * block_numbers(shape) + static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim * kBlockTokens +
         (static_cast<int64_t>(head) * kBlockTokens + slot) * shape.v_dim + d;
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
      score += q[d] * load(shape, args.cache, key_index(shape, blocks[p / kBlockTokens], kv_head, p % kBlockTokens, d));
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
               load(shape, args.cache, value_index(shape, blocks[p / kBlockTokens], kv_head, p % kBlockTokens, d));
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
      const float* k = args.k + (t * shape.n_kv_heads + head) * shape.k_dim;
      for (int d = 0; d < shape.k_dim; ++d) store(shape, args.cache, key_index(shape, block, head, slot, d), k[d]);
      if (shape.value_is_key_prefix) continue;
      const float* v = args.v + (t * shape.n_kv_heads + head) * shape.v_dim;
      for (int d = 0; d < shape.v_dim; ++d) store(shape, args.cache, value_index(shape, block, head, slot, d), v[d]);
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
