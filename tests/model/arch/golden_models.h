// The golden models: folders with what transformers computes with them (golden.json). Those of the first ring are
// shared data, absent elsewhere; the others lie in tests/data/arch, made by tools/goldens/second_ring.py.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <ostream>
#include <string>
#include <vector>

#include "test_data.h"

namespace strata::test {

struct GoldenModel {
  std::filesystem::path root;
  std::string name;
  std::filesystem::path folder() const { return root / name; }
};
inline std::ostream& operator<<(std::ostream& out, const GoldenModel& model) { return out << model.name; }

using Names = std::initializer_list<const char*>;
inline std::vector<GoldenModel> golden_models(Names shared, Names own) {
  std::vector<GoldenModel> models;
  for (const char* name : shared) models.push_back({shared_data() / "golden-arch", name});
  for (const char* name : own) models.push_back({source_dir() / "tests" / "data" / "arch", name});
  return models;
}

}  // namespace strata::test

// Shared data may be absent, our own may not.
#define STRATA_REQUIRE_GOLDEN(model)                                              \
  if ((model).root != ::strata::test::source_dir() / "tests" / "data" / "arch" && \
      !std::filesystem::exists((model).folder()))                                 \
  GTEST_SKIP() << "no test data at " << (model).folder()
