// Any bytes as packed weights: a line with the scheme, then a safetensors file. Every row of what is accepted is made.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fuzz_file.h"
#include "model/format/packed_module.h"

namespace strata {
namespace {

constexpr int64_t kMaxNumbers = 1 << 20;  // of a weight whose rows are all made

void read_rows(const PackedWeight& weight) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < weight.shape.size(); ++i) rows *= weight.shape[i];
  const int64_t k = weight.shape.back();
  if (k > kMaxNumbers) return;
  std::vector<std::byte> row(row_bytes(weight.type, k));
  for (int64_t i = 0; i < std::min(rows, kMaxNumbers / k); ++i) weight.rows->read(i, i + 1, row.data());
  weight.rows->read(rows - 1, rows, row.data());
}

}  // namespace
}  // namespace strata

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const auto scheme = strata::ConfigView::parse(input.substr(0, line), "quantization_config");
  if (!scheme.ok()) return 0;
  const size_t begin = std::min(line + 1, size);
  const strata::fuzz::InputFile file(data + begin, size - begin);
  const auto stored = strata::SafetensorsFile::open(file.path());
  if (!stored.ok()) return 0;
  strata::StoredTensors tensors;
  for (const strata::SafetensorsTensor& tensor : stored->tensors()) tensors.emplace(tensor.name, &tensor);
  const auto packed = strata::read_packed_tensors(*scheme, tensors);
  if (!packed.ok()) return 0;
  for (const strata::PackedTensor& tensor : packed->tensors) strata::read_rows(tensor.weight);
  return 0;
}
