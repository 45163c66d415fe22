// Where the tests find real data. Cases that need it are skipped, by name, where it is absent.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace strata::test {

// <repository>/../shared/data, or what STRATA_TEST_DATA names.
inline std::filesystem::path shared_data() {
  if (const char* path = std::getenv("STRATA_TEST_DATA")) return path;
  return std::filesystem::path(STRATA_SOURCE_DIR) / ".." / "shared" / "data";
}

inline std::filesystem::path source_dir() { return STRATA_SOURCE_DIR; }

inline std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace strata::test

#define STRATA_REQUIRE_DATA(relative)                                       \
  if (!std::filesystem::exists(::strata::test::shared_data() / (relative))) \
  GTEST_SKIP() << "no test data at " << (::strata::test::shared_data() / (relative))
