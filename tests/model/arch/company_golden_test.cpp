// The law of company for whole models: logits of a sequence are the same bits whatever the chunks, threads and other
// sequences of the steps that computed them, for one model of each kind and each table of kernels.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "golden_models.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

using test::Chunk;
using test::ModelFixture;
using test::RunOptions;

std::vector<int32_t> random_ids(int n, int64_t vocab, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<unsigned>(vocab));
  return ids;
}

// Logits at every position, computed alone in one piece.
std::vector<float> alone(ModelFixture& model, const std::vector<int32_t>& ids) {
  return model.prefill(ids, static_cast<int64_t>(ids.size()));
}

// Logits at every position, computed in chunks of random sizes, mixed with chunks of the other sequences.
std::vector<std::vector<float>> together(ModelFixture& model, const std::vector<std::vector<int32_t>>& sequences,
                                         int64_t max_chunk, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<float>> logits(sequences.size());
  std::vector<int64_t> done(sequences.size(), 0);
  for (;;) {
    std::vector<std::pair<const std::vector<int32_t>*, Chunk>> step;
    int64_t budget = 100;
    for (size_t s = 0; s < sequences.size(); ++s) {
      const auto size = static_cast<int64_t>(sequences[s].size());
      if (done[s] == size || budget == 0 || (random() % 3 == 0 && !step.empty())) continue;
      const int64_t n =
          std::min({size - done[s], 1 + static_cast<int64_t>(random() % static_cast<unsigned>(max_chunk)), budget});
      step.push_back({&sequences[s], {static_cast<int>(s), done[s], done[s] + n, n}});
      budget -= n;
    }
    if (step.empty()) {
      if (std::equal(done.begin(), done.end(), sequences.begin(),
                     [](int64_t d, const auto& ids) { return d == static_cast<int64_t>(ids.size()); }))
        return logits;
      continue;
    }
    std::shuffle(step.begin(), step.end(), random);
    const std::vector<float> out = model.step(step);
    size_t at = 0;
    for (const auto& [ids, chunk] : step) {
      const size_t n = static_cast<size_t>(chunk.end - chunk.begin) * static_cast<size_t>(model.config().vocab);
      auto& mine = logits[static_cast<size_t>(chunk.sequence)];
      mine.insert(mine.end(), out.begin() + static_cast<std::ptrdiff_t>(at),
                  out.begin() + static_cast<std::ptrdiff_t>(at + n));
      at += n;
      done[static_cast<size_t>(chunk.sequence)] = chunk.end;
    }
  }
}

struct Case {
  test::GoldenModel model;
  std::string isa;
  DType cache;
};

class Company : public testing::TestWithParam<Case> {};

TEST_P(Company, BitsDoNotDependOnIt) {
  STRATA_REQUIRE_GOLDEN(GetParam().model);
  const std::filesystem::path folder = GetParam().model.folder();
  RunOptions options;
  options.isa = GetParam().isa;
  options.cache = GetParam().cache;
  ModelFixture model(folder, options);
  options.threads = 2;
  ModelFixture threaded(folder, options);
  ASSERT_TRUE(model.ok() && threaded.ok());
  std::vector<std::vector<int32_t>> sequences;
  for (const int n : {70, 33, 1, 100})
    sequences.push_back(random_ids(n, model.config().vocab, static_cast<unsigned>(n)));
  std::vector<std::vector<float>> want;
  for (const auto& ids : sequences) want.push_back(alone(model, ids));
  for (const int64_t chunk : {1, 7, 16, 64}) {
    for (ModelFixture* runner : {&model, &threaded}) {
      const auto got = together(*runner, sequences, chunk, static_cast<unsigned>(chunk));
      for (size_t s = 0; s < sequences.size(); ++s) {
        ASSERT_EQ(got[s].size(), want[s].size());
        EXPECT_EQ(std::memcmp(got[s].data(), want[s].data(), want[s].size() * sizeof(float)), 0)
            << "sequence " << s << ", chunks up to " << chunk
            << (runner == &threaded ? ", two threads" : ", one thread");
      }
    }
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const test::GoldenModel& model : test::golden_models(
           {"llama", "mistral", "gemma2", "qwen3-moe", "gpt2", "gpt-oss", "phi3-longrope", "deepseek-v3"},
           {"cohere2", "deepseek-v2", "falcon-rw", "gemma3", "granitemoe", "phi", "qwen2-moe", "stablelm-parallel"})) {
    for (const char* isa : {"reference", "generic", "avx2", "avx512vnni", "avx512"}) {
      if (find_cpu_kernels(isa) == nullptr) continue;
      for (const DType cache : {DType::kF32, DType::kF16}) all.push_back({model, isa, cache});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Models, Company, testing::ValuesIn(cases()), [](const auto& tested) {
  std::string name =
      tested.param.model.name + "_" + tested.param.isa + "_" + std::string(strata::name(tested.param.cache));
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace strata
