#include "model/format/safetensors_writer.h"

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

constexpr size_t kAlignment = 8;  // of the data's begin: readers may use the elements in place

}  // namespace

Result<SafetensorsWriter> SafetensorsWriter::create(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  return SafetensorsWriter(std::move(file));
}

void SafetensorsWriter::set_metadata(std::string_view key, std::string_view value) {
  CHECK(!in_data_);
  metadata_[std::string(key)] = value;
}

Status SafetensorsWriter::declare_tensor(std::string_view name, DType type, std::span<const int64_t> shape) {
  CHECK(!in_data_);
  const std::string where = "tensor " + quoted_name(name);
  if (name == "__metadata__") return invalid_argument(where + ": this name is reserved");
  if (is_quantized(type) || is_activation(type)) {
    return invalid_argument(where + ": safetensors has no type " + std::string(strata::name(type)));
  }
  if (!names_.emplace(name).second) return invalid_argument(where + " occurs twice");
  uint64_t bytes = static_cast<uint64_t>(traits(type).block_bytes);
  for (const int64_t size : shape) bytes *= static_cast<uint64_t>(size);
  entries_.push_back({std::string(name), type, {shape.begin(), shape.end()}, bytes});
  declared_ += bytes;
  return ok_status();
}

Status SafetensorsWriter::begin_data() {
  CHECK(!in_data_);
  in_data_ = true;
  nlohmann::ordered_json header = {{"__metadata__", metadata_}};
  uint64_t offset = 0;
  for (const Entry& entry : entries_) {
    header[entry.name] = {{"dtype", std::string(strata::name(entry.type))},
                          {"shape", entry.shape},
                          {"data_offsets", {offset, offset + entry.bytes}}};
    offset += entry.bytes;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  const uint64_t size = text.size();
  RETURN_IF_ERROR(file_.write(std::as_bytes(std::span(&size, 1))));
  return file_.write(std::as_bytes(std::span(text)));
}

Status SafetensorsWriter::write(std::span<const std::byte> bytes) {
  CHECK(in_data_);
  CHECK_LE(bytes.size(), declared_ - written_);
  written_ += bytes.size();
  return file_.write(bytes);
}

Status SafetensorsWriter::finish() {
  if (!in_data_) RETURN_IF_ERROR(begin_data());
  CHECK_EQ(written_, declared_);
  return file_.commit();
}

}  // namespace strata
