#include "model/format/importance.h"

#include <cmath>
#include <cstring>

#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

constexpr std::string_view kSums = ".in_sum2";
constexpr std::string_view kCounts = ".counts";

// Numbers that are sums of squares, or counts.
Result<std::vector<double>> read_sums(const GgufTensor& tensor) {
  if (tensor.type != DType::kF32)
    return data_loss("importance " + quoted_name(std::string(tensor.name)) + " is not F32");
  std::vector<double> numbers(tensor.data.size() / sizeof(float));
  for (size_t i = 0; i < numbers.size(); ++i) {
    float number;
    std::memcpy(&number, tensor.data.data() + i * sizeof(float), sizeof(float));
    if (!std::isfinite(number) || number < 0)
      return data_loss("importance " + quoted_name(std::string(tensor.name)) + " holds " + std::to_string(number));
    numbers[i] = number;
  }
  return numbers;
}

Result<ColumnImportance> read_columns(const GgufFile& file, const GgufTensor& sums, const std::string& name) {
  const GgufTensor* counts = file.find_tensor(name + std::string(kCounts));
  if (counts == nullptr) return data_loss("importance of " + quoted_name(name) + " has no counts");
  ColumnImportance out;
  ASSIGN_OR_RETURN(out.square_sums, read_sums(sums));
  ASSIGN_OR_RETURN(out.counts, read_sums(*counts));
  if (out.counts.empty() || out.square_sums.empty() || out.square_sums.size() % out.counts.size() != 0)
    return data_loss("importance of " + quoted_name(name) + ": sums and counts do not fit each other");
  out.columns = static_cast<int64_t>(out.square_sums.size() / out.counts.size());
  return out;
}

std::vector<float> to_floats(const std::vector<double>& numbers) { return {numbers.begin(), numbers.end()}; }

}  // namespace

std::vector<float> ColumnImportance::mean_squares(int64_t matrix) const {
  const double count = counts[static_cast<size_t>(matrix)];
  std::vector<float> means(static_cast<size_t>(columns), 1.0f);
  if (!(count > 0)) return means;
  const double* sums = square_sums.data() + matrix * columns;
  for (size_t i = 0; i < means.size(); ++i) means[i] = static_cast<float>(sums[i] / count);
  return means;
}

Result<Importance> read_importance(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  if (file.get_string("general.type").value_or("") != "imatrix") {
    return invalid_argument(path.string() + ": not an importance matrix in GGUF form (make one with strata imatrix)");
  }
  Importance importance;
  importance.chunks = file.get_int("imatrix.chunk_count").value_or(0);
  importance.chunk_tokens = file.get_int("imatrix.chunk_size").value_or(0);
  if (const GgufValue* texts = file.find("imatrix.datasets"); texts != nullptr) {
    for (const std::string_view text : texts->as_strings().value_or(std::vector<std::string_view>{}))
      importance.texts.emplace_back(text);
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.name.ends_with(kSums)) continue;
    const std::string name(tensor.name.substr(0, tensor.name.size() - kSums.size()));
    Result<ColumnImportance> columns = read_columns(file, tensor, name);
    if (!columns.ok()) return columns.status().with_context(path.string());
    importance.tensors.emplace(name, std::move(*columns));
  }
  if (importance.tensors.empty()) return data_loss(path.string() + ": holds the importance of no tensor");
  return importance;
}

Status write_importance(const Importance& importance, const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(path));
  writer.add_string("general.type", "imatrix");
  writer.add_strings("imatrix.datasets", importance.texts);
  writer.add_uint("imatrix.chunk_count", static_cast<uint32_t>(importance.chunks));
  writer.add_uint("imatrix.chunk_size", static_cast<uint32_t>(importance.chunk_tokens));
  for (const auto& [name, columns] : importance.tensors) {
    const std::vector<int64_t> sums = {columns.matrices(), columns.columns}, counts = {columns.matrices(), 1};
    RETURN_IF_ERROR(writer.declare_tensor(name + std::string(kSums), DType::kF32, sums));
    RETURN_IF_ERROR(writer.declare_tensor(name + std::string(kCounts), DType::kF32, counts));
  }
  RETURN_IF_ERROR(writer.begin_data());
  for (const auto& [name, columns] : importance.tensors) {
    RETURN_IF_ERROR(writer.write(std::as_bytes(std::span<const float>(to_floats(columns.square_sums)))));
    RETURN_IF_ERROR(writer.write(std::as_bytes(std::span<const float>(to_floats(columns.counts)))));
  }
  return writer.finish();
}

}  // namespace strata
