// A step allocates nothing: every call of operator new during run() counts.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "support/model_fixture.h"
#include "test_data.h"

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
}  // namespace

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"  // malloc and free are the pair here
void* operator new(std::size_t size) {
  if (counting.load(std::memory_order_relaxed)) ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#pragma GCC diagnostic pop

namespace strata {
namespace {

struct Case {
  std::string model;
  std::string isa;
};

class NoAllocation : public testing::TestWithParam<Case> {};

TEST_P(NoAllocation, DuringAStep) {
  STRATA_REQUIRE_DATA("golden-arch/" + GetParam().model);
  test::RunOptions options;
  options.threads = 2;
  options.isa = GetParam().isa;
  test::ModelFixture model(test::shared_data() / "golden-arch" / GetParam().model, options);
  ASSERT_TRUE(model.ok());
  const std::vector<int32_t> ids(40, 7);
  test::BatchBuilder builder(options.blocks_per_sequence);
  builder.add(ids, {0, 0, 40, 1});
  builder.add(ids, {1, 0, 3, 1});
  const Batch batch = builder.batch();
  model.context().run(batch);
  allocations = 0;
  counting = true;
  model.context().run(batch);
  counting = false;
  EXPECT_EQ(allocations.load(), 0);
}

// The reference kernels may allocate; those that serve may not.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* model : {"llama", "qwen3-moe", "deepseek-v3"}) {
    for (const char* isa : {"generic", "avx2", "avx512"}) {
      if (find_cpu_kernels(isa) != nullptr) all.push_back({model, isa});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, NoAllocation, testing::ValuesIn(cases()), [](const auto& tested) {
  std::string name = tested.param.model + "_" + tested.param.isa;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace strata
