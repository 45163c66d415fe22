// How much each column of each matrix matters: the mean square of the numbers it is multiplied with, measured over a
// text. Stored as llama.cpp stores it (its tool imatrix), so that either program reads the other's files: a GGUF file
// with general.type "imatrix" and, for each matrix, NAME.in_sum2 [matrices, columns] and NAME.counts [matrices, 1].
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace strata {

// Of one tensor; experts are matrices of their own.
struct ColumnImportance {
  int64_t columns = 0;
  std::vector<double> square_sums;  // [matrices, columns]
  std::vector<double> counts;       // [matrices] rows that were summed

  int64_t matrices() const { return static_cast<int64_t>(counts.size()); }
  // Mean squares of one matrix; all 1 where nothing was summed.
  std::vector<float> mean_squares(int64_t matrix) const;
};

struct Importance {
  std::map<std::string, ColumnImportance, std::less<>> tensors;  // by the tensor's GGUF name
  std::vector<std::string> texts;                                // what it was measured over
  int64_t chunks = 0;
  int64_t chunk_tokens = 0;
};

// kNotFound, kInvalidArgument (no such file, another kind of file), kDataLoss (sums without counts, sizes that do not
// fit, negative or not finite numbers): names the tensor.
Result<Importance> read_importance(const std::filesystem::path& path);
Status write_importance(const Importance& importance, const std::filesystem::path& path);

}  // namespace strata
