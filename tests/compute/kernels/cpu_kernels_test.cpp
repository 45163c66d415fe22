#include "compute/kernels/cpu_kernels.h"

#include <gtest/gtest.h>

#include <thread>

#include "kernel_test.h"

namespace strata {
namespace {

TEST(CpuKernelsTest, TablesAreFoundByName) {
  EXPECT_EQ(find_cpu_kernels("reference"), &kReferenceKernels);
  EXPECT_EQ(find_cpu_kernels("generic"), &kGenericKernels);
  EXPECT_EQ(find_cpu_kernels("pentium"), nullptr);
  EXPECT_EQ(find_cpu_kernels("avx2"), is_supported(kAvx2Kernels) ? &kAvx2Kernels : nullptr);
  EXPECT_EQ(find_cpu_kernels("avx512vnni"), is_supported(kAvx512VnniKernels) ? &kAvx512VnniKernels : nullptr);
  EXPECT_EQ(find_cpu_kernels("avx512"), is_supported(kAvx512Kernels) ? &kAvx512Kernels : nullptr);
}

TEST(CpuKernelsTest, TheBestTableIsTheFirstThatTheProcessorCanRun) {
  const CpuKernels* expected = is_supported(kAvx512Kernels)       ? &kAvx512Kernels
                               : is_supported(kAvx512VnniKernels) ? &kAvx512VnniKernels
                               : is_supported(kAvx2Kernels)       ? &kAvx2Kernels
                                                                  : &kGenericKernels;
  EXPECT_EQ(find_cpu_kernels(), expected);
  EXPECT_EQ(std::string(supported_isa_names()).rfind(expected->name, 0), 0u);
}

// Threads that share a call of attention write different rows and need no lock; bits stay those of one thread.
TEST(CpuKernelsTest, ThreadsShareTheItemsOfAttention) {
  const CpuKernels& kernels = *find_cpu_kernels();
  const CacheShape shape{DType::kF16, 2, 32, 32, false};
  const int tokens = 100, heads = 8;
  const auto q = test::random_floats(1, tokens * heads * 32), k = test::random_floats(2, tokens * 2 * 32);
  std::vector<int64_t> slots(tokens);
  for (int t = 0; t < tokens; ++t) slots[t] = t;
  std::vector<char> cache(7 * shape.block_bytes());
  kernels.cache_write({shape, cache.data(), k.data(), k.data(), slots.data()}, 0, tokens);
  const int32_t query_begin[] = {0, tokens}, context_len[] = {tokens}, blocks[] = {0, 1, 2, 3, 4, 5, 6};
  std::vector<float> one(q.size()), many(q.size());
  AttentionArgs args{.shape = shape,
                     .cache = cache.data(),
                     .q = q.data(),
                     .out = one.data(),
                     .n_heads = heads,
                     .scale = 0.2f,
                     .n_sequences = 1,
                     .query_begin = query_begin,
                     .context_len = context_len,
                     .block_table = blocks,
                     .block_table_stride = 7};
  const auto run = [&](int64_t begin, int64_t end) {
    set_compute_float_mode();
    std::vector<float> workspace(kernels.attention_workspace(args) / sizeof(float));
    kernels.attention(args, begin, end, workspace.data());
  };
  const int64_t items = kernels.attention_items(args);
  ASSERT_GT(items, 4);
  run(0, items);
  args.out = many.data();
  std::thread first([&] { run(0, 3); }), second([&] { run(3, 5); });
  run(5, items);
  first.join();
  second.join();
  test::expect_same_bits(many, one);
}

}  // namespace
}  // namespace strata
