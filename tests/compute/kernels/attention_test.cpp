#include <cstring>
#include <limits>
#include <numeric>

#include "compute/tensor/half.h"
#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

struct AttentionCase {
  const char* name;
  int n_heads, n_kv_heads, k_dim, v_dim;
  bool value_is_key_prefix = false;
  float softcap = 0;
  int window = 0;
  bool sinks = false;
  enum class Alibi : uint8_t { kNone, kPlain, kRounded } alibi = Alibi::kNone;
};
constexpr auto kPlain = AttentionCase::Alibi::kPlain, kRounded = AttentionCase::Alibi::kRounded;

constexpr AttentionCase kCases[] = {
    {"one_head", 1, 1, 16, 16},
    {"mha", 3, 3, 64, 64},
    {"gqa", 8, 2, 32, 32},
    {"gqa_odd_group", 14, 2, 20, 24},
    {"mqa", 20, 1, 48, 40},
    {"wide_values", 4, 2, 24, 130},
    {"softcap", 4, 2, 32, 32, false, 2.0f},
    {"window", 4, 2, 32, 32, false, 0, 37},
    {"window_of_one", 2, 1, 32, 32, false, 0, 1},
    {"sinks", 8, 4, 32, 32, false, 0, 0, true},
    {"everything", 8, 2, 40, 40, false, 3.0f, 100, true},
    {"alibi", 8, 2, 32, 32, false, 0, 0, false, kPlain},
    {"alibi_rounded", 6, 6, 24, 24, false, 0, 0, false, kRounded},
    {"alibi_window_softcap", 5, 1, 20, 40, false, 4.0f, 50, false, kPlain},
    {"mla", 6, 1, 40, 24, true},
    {"mla_many_heads", 40, 1, 72, 64, true, 0, 70},
    {"odd_dims", 4, 2, 17, 33},
    {"mla_odd", 5, 1, 41, 23, true},
};

// Tokens of several sequences, and a paged cache that is filled step by step while queries are answered.
class World {
 public:
  World(const AttentionCase& attention_case, DType type, std::vector<int> lengths, uint32_t block_order)
      : case_(attention_case), lengths_(std::move(lengths)) {
    shape_ = {type, case_.n_kv_heads, case_.k_dim, case_.v_dim, case_.value_is_key_prefix};
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const size_t n = lengths_[s];
      // A sequence's numbers depend on its own index alone.
      q_.push_back(random_floats(100 + s, n * case_.n_heads * case_.k_dim));
      k_.push_back(random_floats(200 + s, n * case_.n_kv_heads * case_.k_dim));
      v_.push_back(random_floats(300 + s, n * case_.n_kv_heads * case_.v_dim));
      out_.emplace_back(n * case_.n_heads * case_.v_dim, std::numeric_limits<float>::quiet_NaN());
      log_sum_exp_.emplace_back(n * case_.n_heads, std::numeric_limits<float>::quiet_NaN());
    }
    sinks_ = random_floats(400, case_.n_heads);
    for (int h = 0; h < case_.n_heads; ++h) slopes_.push_back(bfloat16_to_float(float_to_bfloat16(0.3f / (h + 1))));
    table_stride_ = (*std::max_element(lengths_.begin(), lengths_.end()) + kBlockTokens - 1) / kBlockTokens;
    block_table_.resize(table_stride_ * lengths_.size());
    std::iota(block_table_.begin(), block_table_.end(), 0);
    std::shuffle(block_table_.begin(), block_table_.end(), std::mt19937(block_order));
    cache_.resize(shape_.block_bytes() * block_table_.size(), '\xff');  // what was not written may hold NaN
    done_.resize(lengths_.size());
    split_contexts(true);
  }

  // Long contexts are computed by partials apart, in memory that begins full of NaN; or never.
  void split_contexts(bool on) {
    partials_.assign(on ? int64_t{kPartialRows} * (16 + (case_.v_dim + 15) / 16 * 16) : 0,
                     std::numeric_limits<float>::quiet_NaN());
  }

  // Appends chunk[s] tokens to sequence s, then answers their queries; items one at a time, the last first, in a
  // workspace that begins full of NaN.
  void step(const CpuKernels& kernels, const std::vector<int>& chunk, bool ask = true) {
    std::vector<float> q, k, v;
    std::vector<int64_t> slots;
    std::vector<int32_t> query_begin = {0}, context_len, tables;
    std::vector<size_t> members;
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const int n = std::min(chunk[s], lengths_[s] - done_[s]);
      if (n <= 0) continue;
      members.push_back(s);
      append(q, q_[s], done_[s], n, case_.n_heads * case_.k_dim);
      append(k, k_[s], done_[s], n, case_.n_kv_heads * case_.k_dim);
      append(v, v_[s], done_[s], n, case_.n_kv_heads * case_.v_dim);
      for (int p = done_[s]; p < done_[s] + n; ++p) {
        slots.push_back(int64_t{block_table_[s * table_stride_ + p / kBlockTokens]} * kBlockTokens + p % kBlockTokens);
      }
      done_[s] += n;
      query_begin.push_back(query_begin.back() + n);
      context_len.push_back(done_[s]);
      const auto row = block_table_.begin() + s * table_stride_;
      tables.insert(tables.end(), row, row + table_stride_);
    }
    const int64_t tokens = slots.size();
    CacheWriteArgs write{shape_, cache_.data(), k.data(), case_.value_is_key_prefix ? nullptr : v.data(), slots.data()};
    kernels.cache_write(write, tokens / 2, tokens);
    kernels.cache_write(write, 0, tokens / 2);
    if (ask) answer(kernels, q, query_begin, context_len, tables, members);
  }

  int64_t items() const { return n_items_; }  // of the last step
  bool done() const { return done_ == lengths_; }
  const std::vector<float>& out(size_t s) const { return out_[s]; }
  const std::vector<float>& log_sum_exp(size_t s) const { return log_sum_exp_[s]; }

 private:
  static void append(std::vector<float>& to, const std::vector<float>& from, int begin, int n, int width) {
    to.insert(to.end(), from.begin() + begin * width, from.begin() + (begin + n) * width);
  }

  void answer(const CpuKernels& kernels, const std::vector<float>& q, const std::vector<int32_t>& query_begin,
              const std::vector<int32_t>& context_len, const std::vector<int32_t>& tables,
              const std::vector<size_t>& members) {
    const int64_t tokens = query_begin.back();
    std::vector<float> out(tokens * case_.n_heads * case_.v_dim), lse(tokens * case_.n_heads);
    AttentionArgs args{.shape = shape_, .cache = cache_.data(), .q = q.data(), .out = out.data(),
                       .log_sum_exp = lse.data(), .n_heads = case_.n_heads,
                       .scale = 1.0f / std::sqrt(static_cast<float>(case_.k_dim)), .softcap = case_.softcap,
                       .window = case_.window, .sinks = case_.sinks ? sinks_.data() : nullptr,
                       .alibi = {case_.alibi == AttentionCase::Alibi::kNone ? nullptr : slopes_.data(),
                                 case_.alibi == kRounded},
                       .n_sequences = static_cast<int>(members.size()), .query_begin = query_begin.data(),
                       .context_len = context_len.data(), .block_table = tables.data(),
                       .block_table_stride = static_cast<int64_t>(table_stride_),
                       .partials = partials_.empty() ? nullptr : partials_.data()};
    const size_t workspace_floats = kernels.attention_workspace(args) / sizeof(float) + 16;
    std::vector<float> workspace(workspace_floats, std::numeric_limits<float>::quiet_NaN());
    void* aligned = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(workspace.data()) + 63) / 64 * 64);
    n_items_ = kernels.attention_items(args);
    for (int64_t item = n_items_; item-- > 0;) kernels.attention(args, item, item + 1, aligned);
    for (size_t i = 0; i < members.size(); ++i) {
      const size_t s = members[i];
      const int64_t n = query_begin[i + 1] - query_begin[i], first = done_[s] - n;
      std::copy_n(out.begin() + int64_t{query_begin[i]} * case_.n_heads * case_.v_dim, n * case_.n_heads * case_.v_dim,
                  out_[s].begin() + first * case_.n_heads * case_.v_dim);
      std::copy_n(lse.begin() + int64_t{query_begin[i]} * case_.n_heads, n * case_.n_heads,
                  log_sum_exp_[s].begin() + first * case_.n_heads);
    }
  }

  AttentionCase case_;
  CacheShape shape_;
  std::vector<int> lengths_, done_;
  std::vector<std::vector<float>> q_, k_, v_, out_, log_sum_exp_;
  std::vector<float> sinks_, slopes_, partials_;
  int64_t n_items_ = 0;
  std::vector<int32_t> block_table_;
  size_t table_stride_ = 0;
  std::vector<char> cache_;
};

constexpr DType kTypes[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kQ8_0, DType::kQ4_0};

class AttentionTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(AttentionTest);

TEST_P(AttentionTest, PrefillIsNearTheReference) {
  for (const AttentionCase& c : kCases) {
    for (DType type : kTypes) {
      SCOPED_TRACE(std::string(c.name) + " " + std::string(name(type)));
      const std::vector<int> lengths = {91, 1, 40};
      World fast(c, type, lengths, 1), slow(c, type, lengths, 2);
      fast.step(kernels(), lengths);
      slow.step(kReferenceKernels, lengths);
      const bool exact = type == DType::kF32 || type == DType::kF16 || !kernels().attends_in_bfloat;
      const float rounding = exact ? 0.0f : type == DType::kBF16 ? 4e-3f : 1e-2f;
      for (size_t s = 0; s < lengths.size(); ++s) {
        expect_close(fast.out(s), slow.out(s), 2e-6f + rounding);
        expect_close(fast.log_sum_exp(s), slow.log_sum_exp(s), 1e-6f + rounding);
      }
    }
  }
}

TEST_P(AttentionTest, DecodeBehindALongContextIsNearTheReference) {
  for (const AttentionCase& c : kCases) {
    SCOPED_TRACE(c.name);
    const int context = 2 * kPartialTokens + 77;
    World fast(c, DType::kF16, {context}, 3), slow(c, DType::kF16, {context}, 4);
    for (World* world : {&fast, &slow}) {
      const CpuKernels& table = world == &fast ? kernels() : kReferenceKernels;
      world->step(table, {context - 2}, false);
      world->step(table, {1});
      world->step(table, {1});
    }
    const size_t asked = 2 * c.n_heads * c.v_dim;
    expect_close({fast.out(0).end() - asked, fast.out(0).end()}, {slow.out(0).end() - asked, slow.out(0).end()}, 4e-6f);
  }
}

// Every case with a type in turn, and with BF16, whose words hold two positions.
std::vector<std::pair<AttentionCase, DType>> cases_and_types(size_t first_type) {
  std::vector<std::pair<AttentionCase, DType>> all;
  for (size_t i = 0; i < std::size(kCases); ++i) {
    const DType type = kTypes[(i + first_type) % std::size(kTypes)];
    all.emplace_back(kCases[i], type);
    if (type != DType::kBF16) all.emplace_back(kCases[i], DType::kBF16);
  }
  return all;
}

// The law of company: the bits of a query do not depend on chunks, other sequences, block placement or split of items.
TEST_P(AttentionTest, AnAnswerDoesNotDependOnItsCompany) {
  const int length = kPartialTokens + 45;
  for (const auto& [c, type] : cases_and_types(0)) {
    SCOPED_TRACE(std::string(c.name) + " " + std::string(name(type)));
    World alone(c, type, {length}, 5);
    alone.split_contexts(false);
    alone.step(kernels(), {length});
    for (int chunk : {1, 7, 16, 512}) {
      SCOPED_TRACE(chunk);
      World company(c, type, {length, 45, 130}, 6 + chunk);
      std::mt19937 generator(chunk);
      while (!company.done()) company.step(kernels(), {chunk, static_cast<int>(generator() % 90), 64});
      expect_same_bits(company.out(0), alone.out(0));
      expect_same_bits(company.log_sum_exp(0), alone.log_sum_exp(0));
    }
    World ragged(c, type, {length}, 99);
    std::mt19937 generator(17);
    while (!ragged.done()) ragged.step(kernels(), {static_cast<int>(generator() % 150)});
    expect_same_bits(ragged.out(0), alone.out(0));
  }
}

// Four sequences with a few queries each behind contexts of up to four partials; of forty heads, the partials of the
// last sequence find no room any more.
TEST_P(AttentionTest, PartialsComputedApartGiveTheSameBits) {
  const std::vector<int> lengths = {3 * kPartialTokens + 20, 700, 40, 3 * kPartialTokens + 60};
  for (const auto& [c, type] : cases_and_types(1)) {
    SCOPED_TRACE(std::string(c.name) + " " + std::string(name(type)));
    World apart(c, type, lengths, 3), whole(c, type, lengths, 4);
    whole.split_contexts(false);
    for (World* world : {&apart, &whole}) {
      world->step(kernels(), {lengths[0] - 30, lengths[1] - 16, lengths[2] - 16, lengths[3] - 30}, false);
      world->step(kernels(), {16, 16, 16, 16});
      world->step(kernels(), {1, 0, 0, 5});
      world->step(kernels(), {13, 0, 0, 9});
    }
    for (size_t s = 0; s < lengths.size(); ++s) {
      expect_same_bits(apart.out(s), whole.out(s));
      expect_same_bits(apart.log_sum_exp(s), whole.log_sum_exp(s));
    }
    if (c.window == 0) {
      EXPECT_GT(apart.items(), whole.items());
    }
  }
}

TEST_P(AttentionTest, CacheHoldsTheReferencesBits) {
  std::vector<CacheShape> shapes;
  for (const DType type : kTypes) {
    shapes.insert(shapes.end(), {{type, 2, 20, 24, false}, {type, 3, 17, 33, false}, {type, 1, 40, 24, true},
                                 {type, 2, 64, 128, false}});
  }
  const float infinity = std::numeric_limits<float>::infinity();
  for (const CacheShape& shape : shapes) {
    SCOPED_TRACE(name(shape.type));
    const std::vector<int64_t> slots = {5, -1, 40, 16, 47, 6, 17};
    std::vector<float> k = random_floats(40, slots.size() * shape.n_kv_heads * shape.k_dim, 100.0f);
    std::vector<float> v = random_floats(41, slots.size() * shape.n_kv_heads * shape.v_dim, 1e-5f);
    std::fill_n(k.begin(), shape.k_dim, 0.0f);  // the first token's first head
    k[1] = -0.0f;
    std::fill_n(v.begin(), shape.v_dim, 1e-30f);
    if (is_quantized(shape.type)) {
      k[2 * shape.n_kv_heads * shape.k_dim + 3] = infinity;
      k[3 * shape.n_kv_heads * shape.k_dim + 1] = -std::numeric_limits<float>::quiet_NaN();
      k[4 * shape.n_kv_heads * shape.k_dim + 2] = 3e38f;
    }
    std::vector<char> fast(3 * shape.block_bytes()), slow = fast;
    CacheWriteArgs args{shape, fast.data(), k.data(), v.data(), slots.data()};
    kernels().cache_write(args, 0, slots.size());
    args.cache = slow.data();
    kReferenceKernels.cache_write(args, 0, slots.size());
    EXPECT_EQ(std::memcmp(fast.data(), slow.data(), fast.size()), 0);
  }
}

TEST(CacheShape, CountsBytes) {
  const auto bytes = [](DType type) { return CacheShape{type, 4, 64, 48, false}.block_bytes(); };
  EXPECT_EQ(bytes(DType::kF32), 16U * 4 * 112 * 4);
  EXPECT_EQ(bytes(DType::kBF16), 16U * 4 * 112 * 2);
  EXPECT_EQ(bytes(DType::kQ8_0), 16U * 4 * 4 * 34);  // 48 numbers are two groups
  EXPECT_EQ(bytes(DType::kQ4_0), 16U * 4 * 4 * 18);
  EXPECT_TRUE(is_cache_type(DType::kBF16));
  EXPECT_FALSE(is_cache_type(DType::kQ4_K));
}

}  // namespace
}  // namespace strata
