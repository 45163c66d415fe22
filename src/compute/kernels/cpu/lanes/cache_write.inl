// Writing into the paged cache: fp32 is rounded to the type of the cache here and nowhere else. Included inside the
// namespace of an instruction set.
namespace {

// Where the block of `slot` begins.
STRATA_INLINE char* block_of(const CacheWriteArgs& args, int64_t slot) {
  return static_cast<char*>(args.cache) + slot / kBlockTokens * static_cast<int64_t>(args.shape.block_bytes());
}

template <class Number>
STRATA_INLINE void write_token(const CacheWriteArgs& args, int64_t token) {
  const CacheShape& shape = args.shape;
  const int64_t slot = args.slots[token] % kBlockTokens, n_keys = static_cast<int64_t>(shape.n_kv_heads) * shape.k_dim;
  Number* to = reinterpret_cast<Number*>(block_of(args, args.slots[token]));
  const float* k = args.k + token * n_keys;
  for (int64_t i = 0; i < n_keys; i += kLanes) {
    const int64_t n = n_keys - i < kLanes ? n_keys - i : kLanes;
    Number column[kLanes];
    store_first(column, load_first(k + i, n), n);
    for (int64_t d = 0; d < n; ++d) to[(i + d) * kBlockTokens + slot] = column[d];
  }
  if (shape.value_is_key_prefix) return;
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    const float* v = args.v + (token * shape.n_kv_heads + head) * shape.v_dim;
    Number* row = to + n_keys * kBlockTokens + (static_cast<int64_t>(head) * kBlockTokens + slot) * shape.v_dim;
    for (int64_t d = 0; d < shape.v_dim; d += kLanes) {
      const int64_t n = shape.v_dim - d < kLanes ? shape.v_dim - d : kLanes;
      store_first(row + d, load_first(v + d, n), n);
    }
  }
}

// In words of two: (d, d + 1) of a token of K, two tokens of V.
STRATA_INLINE void write_paired_token(const CacheWriteArgs& args, int64_t token) {
  const CacheShape& shape = args.shape;
  const int64_t slot = args.slots[token] % kBlockTokens, heads = shape.n_kv_heads;
  const auto key_bytes = static_cast<int64_t>(shape.key_bytes()), value_bytes = static_cast<int64_t>(shape.value_bytes());
  char* block = block_of(args, args.slots[token]);
  const auto write = [](const float* x, int64_t dim, const auto& place) {
    for (int64_t i = 0; i < dim; i += kLanes) {
      const int64_t n = dim - i < kLanes ? dim - i : kLanes;
      BFloat numbers[kLanes];
      store_first(numbers, load_first(x + i, n), n);
      for (int64_t d = 0; d < n; ++d) place(i + d) = numbers[d];
    }
  };
  for (int64_t head = 0; head < heads; ++head) {
    auto* keys = reinterpret_cast<BFloat*>(block + head * key_bytes);
    const auto key = [&](int64_t d) -> BFloat& { return keys[(d / 2 * kBlockTokens + slot) * 2 + d % 2]; };
    write(args.k + (token * heads + head) * shape.k_dim, shape.k_dim, key);
    if (shape.k_dim % 2 != 0) key(shape.k_dim) = BFloat{0};
    if (shape.value_is_key_prefix) continue;
    auto* values = reinterpret_cast<BFloat*>(block + heads * key_bytes + head * value_bytes);
    write(args.v + (token * heads + head) * shape.v_dim, shape.v_dim,
          [&](int64_t d) -> BFloat& { return values[(slot / 2 * shape.v_dim + d) * 2 + slot % 2]; });
  }
}

// Codes and scale (binary16) of a group of n numbers.
STRATA_INLINE uint16_t quantize_group(const float* x, int64_t n, bool four_bits, int8_t (&codes)[kCacheGroup]) {
  const Lanes a = load_first(x, n < kLanes ? n : kLanes);
  const Lanes b = n > kLanes ? load_first(x + kLanes, n - kLanes) : broadcast(0);
  const Lanes zero = broadcast(0), one = broadcast(1), finite = broadcast(__FLT_MAX__);
  const float high = max_of(max(a, b)), low = max_of(max(zero - a, zero - b));
  const Lanes wrong = max(select(less_equal(abs(a), finite), zero, one), select(less_equal(abs(b), finite), zero, one));
  float scale = four_bits ? (high > low ? -high / 8 : low / 8) : (high > low ? high : low) / 127;
  const bool bad = max_of(wrong) > 0;
  if (bad || !(high > 0 || low > 0)) scale = 0;
  scale = scale > 65504.0f ? 65504.0f : scale < -65504.0f ? -65504.0f : scale;
  uint16_t half[kLanes];
  float rounded[kLanes];
  store_first(half, broadcast(scale), 1);
  store_first(rounded, load_first(half, 1), 1);
  const Lanes inverse = broadcast(bad || rounded[0] == 0 ? 0 : 1 / rounded[0]);
  const Lanes least = broadcast(four_bits ? -8.0f : -127.0f), most = broadcast(four_bits ? 7.0f : 127.0f);
  float whole[kCacheGroup];
  store(whole, round_to_nearest(min(max(bad ? zero : a * inverse, least), most)));
  store(whole + kLanes, round_to_nearest(min(max(bad ? zero : b * inverse, least), most)));
  for (int i = 0; i < kCacheGroup; ++i) codes[i] = static_cast<int8_t>(whole[i]);
  return bad ? static_cast<uint16_t>(0x7e00) : half[0];
}

// One row of K or V of one kv head, beginning at `to`. Byte i of group g goes to to[g * group_stride + i * stride], its
// scale to scales[g * scale_stride].
STRATA_INLINE void write_groups(const float* x, int64_t dim, bool four_bits, int8_t* to, int64_t group_stride,
                                int64_t stride, uint16_t* scales, int64_t scale_stride) {
  for (int64_t g = 0; g * kCacheGroup < dim; ++g) {
    const int64_t left = dim - g * kCacheGroup;
    int8_t codes[kCacheGroup];
    scales[g * scale_stride] = quantize_group(x + g * kCacheGroup, left < kCacheGroup ? left : kCacheGroup, four_bits,
                                              codes);
    int8_t* bytes = to + g * group_stride;
    for (int i = 0; i < (four_bits ? kCacheGroup / 2 : kCacheGroup); ++i) {
      bytes[i * stride] = four_bits ? static_cast<int8_t>((codes[i] & 15) | codes[i + kCacheGroup / 2] * 16) : codes[i];
    }
  }
}

STRATA_INLINE void write_quantized_token(const CacheWriteArgs& args, int64_t token) {
  const CacheShape& shape = args.shape;
  const bool four_bits = shape.type == DType::kQ4_0;
  const int64_t slot = args.slots[token] % kBlockTokens, group_bytes = four_bits ? kCacheGroup / 2 : kCacheGroup;
  const auto key_bytes = static_cast<int64_t>(shape.key_bytes()), value_bytes = static_cast<int64_t>(shape.value_bytes());
  const int64_t k_groups = (shape.k_dim + kCacheGroup - 1) / kCacheGroup;
  const int64_t v_groups = (shape.v_dim + kCacheGroup - 1) / kCacheGroup;
  char* block = block_of(args, args.slots[token]);
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    char* keys = block + head * key_bytes;
    auto* scales = reinterpret_cast<uint16_t*>(keys + k_groups * group_bytes * kBlockTokens) + slot;
    write_groups(args.k + (token * shape.n_kv_heads + head) * shape.k_dim, shape.k_dim, four_bits,
                 reinterpret_cast<int8_t*>(keys) + slot, group_bytes * kBlockTokens, kBlockTokens, scales, kBlockTokens);
    if (shape.value_is_key_prefix) continue;
    char* values = block + shape.n_kv_heads * key_bytes + head * value_bytes;
    scales = reinterpret_cast<uint16_t*>(values + v_groups * group_bytes * kBlockTokens) + slot * v_groups;
    write_groups(args.v + (token * shape.n_kv_heads + head) * shape.v_dim, shape.v_dim, four_bits,
                 reinterpret_cast<int8_t*>(values) + slot * v_groups * group_bytes, group_bytes, 1, scales, 1);
  }
}

}  // namespace

void cache_write(const CacheWriteArgs& args, int64_t token_begin, int64_t token_end) {
  for (int64_t token = token_begin; token < token_end; ++token) {
    if (args.slots[token] < 0) continue;
    switch (args.shape.type) {
      case DType::kF16:
        write_token<uint16_t>(args, token);
        break;
      case DType::kBF16:
        write_paired_token(args, token);
        break;
      case DType::kQ8_0:
      case DType::kQ4_0:
        write_quantized_token(args, token);
        break;
      default:
        write_token<float>(args, token);
    }
  }
}
