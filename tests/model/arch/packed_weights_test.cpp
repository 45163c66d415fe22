// Models with packed weights against transformers' logits with the same numbers in fp32
// (tools/goldens/packed_weights.py).
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

struct Case {
  std::string name, isa;
  double bound;  // of the largest logit error, in parts of the logits' range
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class PackedWeights : public testing::TestWithParam<Case> {};

TEST_P(PackedWeights, LogitsAgree) {
  const auto folder = test::source_dir() / "tests" / "data" / "packed" / GetParam().name;
  test::RunOptions options;
  options.isa = GetParam().isa;
  options.threads = 2;
  test::ModelFixture model(folder, options);
  ASSERT_TRUE(model.ok());
  const json golden = json::parse(test::read_text(folder / "golden.json"));
  const auto ids = golden["ids"].get<std::vector<int32_t>>();
  const json& rows = golden["logits"];
  const std::vector<float> logits = model.prefill(ids, static_cast<int64_t>(rows.size()));
  double worst = 0;
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto want = rows[row].get<std::vector<float>>();
    const auto [low, high] = std::minmax_element(want.begin(), want.end());
    for (size_t i = 0; i < want.size(); ++i) {
      const double error = std::abs(static_cast<double>(logits[row * want.size() + i]) - want[i]);
      worst = std::max(worst, error / static_cast<double>(*high - *low));
    }
  }
  RecordProperty("relative_error", std::to_string(worst));
  EXPECT_LE(worst, GetParam().bound) << "max |logit error| / range";
}

// INT4 and INT8 multiply activations of int8 with one scale for 32 numbers (their k here is no multiple of 256): each
// is off by at most 1/254 of the largest of its block, which seven matmuls bring to below 2 % of the range. FP8 and
// what became F32 have activations in fp32.
std::vector<Case> cases() {
  std::vector<Case> out;
  for (const char* isa : {"reference", "generic", "avx2", "avx512vnni", "avx512"}) {
    if (find_cpu_kernels(isa) == nullptr) continue;
    for (const char* name :
         {"gptq", "gptq-asym", "gptq-8bit", "awq", "ct-pack", "ct-pack-asym-channel", "ct-int8", "mxfp4"}) {
      out.push_back({name, isa, 0.02});
    }
    for (const char* name : {"gptq-v2-act-order", "ct-pack-act-order", "ct-int8-asym", "ct-fp8-channel", "ct-fp8-block",
                             "fp8-block", "fp8-tensor"}) {
      out.push_back({name, isa, 1e-5});
    }
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Schemes, PackedWeights, testing::ValuesIn(cases()), [](const auto& tested) {
  std::string name = tested.param.name + "_" + tested.param.isa;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace strata
