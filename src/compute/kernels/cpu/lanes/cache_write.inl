// Writing into the paged cache: fp32 is rounded to the type of the cache here and nowhere else. Included inside the
// namespace of an instruction set.
namespace {

template <class Number>
STRATA_INLINE void write_token(const CacheWriteArgs& args, int64_t token) {
  const CacheShape& shape = args.shape;
  const int64_t block = args.slots[token] / kBlockTokens, slot = args.slots[token] % kBlockTokens;
  const int64_t keys = static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim * kBlockTokens;
  const int64_t values = shape.value_is_key_prefix ? 0 : keys / shape.k_dim * shape.v_dim;
  Number* to = static_cast<Number*>(args.cache) + block * (keys + values);
  const float* k = args.k + token * shape.n_kv_heads * shape.k_dim;
  const int64_t n_keys = static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim;
  for (int64_t i = 0; i < n_keys; i += kLanes) {
    const int64_t n = n_keys - i < kLanes ? n_keys - i : kLanes;
    Number column[kLanes];
    store_first(column, load_first(k + i, n), n);
    for (int64_t d = 0; d < n; ++d) to[(i + d) * kBlockTokens + slot] = column[d];
  }
  if (shape.value_is_key_prefix) return;
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    const float* v = args.v + (token * shape.n_kv_heads + head) * shape.v_dim;
    Number* row = to + keys + (static_cast<int64_t>(head) * kBlockTokens + slot) * shape.v_dim;
    for (int64_t d = 0; d < shape.v_dim; d += kLanes) {
      const int64_t n = shape.v_dim - d < kLanes ? shape.v_dim - d : kLanes;
      store_first(row + d, load_first(v + d, n), n);
    }
  }
}

}  // namespace

void cache_write(const CacheWriteArgs& args, int64_t token_begin, int64_t token_end) {
  for (int64_t token = token_begin; token < token_end; ++token) {
    if (args.slots[token] < 0) continue;
    if (args.shape.type == DType::kF16) {
      write_token<uint16_t>(args, token);
    } else {
      write_token<float>(args, token);
    }
  }
}
