// Reads NumPy's .npy files, version 1 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html), as far
// as the goldens use it: little-endian f4, i4, i8, row-major.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "test_data.h"

namespace strata::test {

// The numbers converted to T; a test failure and an empty vector when the file is not as described.
template <class T>
std::vector<T> read_npy(const std::filesystem::path& path) {
  const std::string bytes = read_text(path);
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    ADD_FAILURE() << path << " is no .npy file";
    return {};
  }
  const size_t header = static_cast<uint8_t>(bytes[8]) + 256 * static_cast<uint8_t>(bytes[9]);
  const std::string description = bytes.substr(10, header);
  const auto convert = [&]<class Stored>(Stored) {
    std::vector<T> numbers((bytes.size() - 10 - header) / sizeof(Stored));
    for (size_t i = 0; i < numbers.size(); ++i) {
      Stored stored;
      std::memcpy(&stored, bytes.data() + 10 + header + i * sizeof(Stored), sizeof(Stored));
      numbers[i] = static_cast<T>(stored);
    }
    return numbers;
  };
  if (description.find("<f4") != std::string::npos) return convert(float{});
  if (description.find("<i4") != std::string::npos) return convert(int32_t{});
  if (description.find("<i8") != std::string::npos) return convert(int64_t{});
  ADD_FAILURE() << path << ": " << description;
  return {};
}

}  // namespace strata::test
