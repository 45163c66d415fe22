#include "model/format/gguf_writer.h"

#include <cstring>

#include "base/check.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

constexpr uint64_t kAlignment = 32;   // the format's default, so no key is needed
constexpr size_t kMaxNameBytes = 63;  // the description allows 64, ggml reads 63

}  // namespace

Result<GgufWriter> GgufWriter::create(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  return GgufWriter(std::move(file));
}

template <class T>
void GgufWriter::put(std::vector<std::byte>& out, T value) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), bytes, bytes + sizeof value);
}

void GgufWriter::put_string(std::string_view text) {
  put<uint64_t>(metadata_, text.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  metadata_.insert(metadata_.end(), bytes, bytes + text.size());
}

void GgufWriter::add_key(std::string_view key, GgufType type) {
  CHECK(!in_data_);
  CHECK(keys_.emplace(key).second);
  put_string(key);
  put(metadata_, static_cast<uint32_t>(type));
}

void GgufWriter::add_uint(std::string_view key, uint32_t value) {
  add_key(key, GgufType::kUint32);
  put(metadata_, value);
}
void GgufWriter::add_int(std::string_view key, int32_t value) {
  add_key(key, GgufType::kInt32);
  put(metadata_, value);
}
void GgufWriter::add_float(std::string_view key, float value) {
  add_key(key, GgufType::kFloat32);
  put(metadata_, value);
}
void GgufWriter::add_bool(std::string_view key, bool value) {
  add_key(key, GgufType::kBool);
  put<uint8_t>(metadata_, value ? 1 : 0);
}
void GgufWriter::add_string(std::string_view key, std::string_view value) {
  add_key(key, GgufType::kString);
  put_string(value);
}
void GgufWriter::add_strings(std::string_view key, std::span<const std::string> values) {
  add_key(key, GgufType::kArray);
  put(metadata_, static_cast<uint32_t>(GgufType::kString));
  put<uint64_t>(metadata_, values.size());
  for (const std::string& value : values) put_string(value);
}

template <class T>
void GgufWriter::put_array(std::string_view key, GgufType type, std::span<const T> values) {
  add_key(key, GgufType::kArray);
  put(metadata_, static_cast<uint32_t>(type));
  put<uint64_t>(metadata_, values.size());
  for (const T value : values) put(metadata_, value);
}
void GgufWriter::add_ints(std::string_view key, std::span<const int32_t> values) {
  put_array(key, GgufType::kInt32, values);
}
void GgufWriter::add_floats(std::string_view key, std::span<const float> values) {
  put_array(key, GgufType::kFloat32, values);
}
void GgufWriter::add_bytes(std::string_view key, std::span<const uint8_t> values) {
  put_array(key, GgufType::kUint8, values);
}
void GgufWriter::add_bools(std::string_view key, const std::vector<bool>& values) {
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  put_array(key, GgufType::kBool, std::span<const uint8_t>(bytes));
}
void GgufWriter::add(std::string_view key, const GgufValue& value) {
  add_key(key, value.type);
  metadata_.insert(metadata_.end(), value.encoded.begin(), value.encoded.end());
}

Status GgufWriter::declare_tensor(std::string_view name, DType type, std::span<const int64_t> shape) {
  CHECK(!in_data_);
  const std::string where = "tensor " + quoted_name(name);
  if (name.empty() || name.size() > kMaxNameBytes) return invalid_argument(where + ": GGUF names have 1 to 63 bytes");
  if (shape.size() > 4) return invalid_argument(where + ": GGUF tensors have at most 4 dimensions");
  const auto number = gguf_type_number(type);
  if (!number) return invalid_argument(where + ": GGUF has no type " + std::string(strata::name(type)));
  uint64_t elements = 1;
  for (const int64_t size : shape) {
    if (size <= 0) return invalid_argument(where + ": has no elements");
    elements *= static_cast<uint64_t>(size);
  }
  const DTypeTraits& layout = traits(type);
  if (!shape.empty() && shape.back() % layout.block_elements != 0) {
    return invalid_argument(where + ": rows of " + std::to_string(shape.back()) + " are no whole number of " +
                            std::string(layout.name) + " blocks");
  }
  if (!names_.emplace(name).second) return invalid_argument(where + " occurs twice");

  put<uint64_t>(descriptions_, name.size());
  const auto* bytes = reinterpret_cast<const std::byte*>(name.data());
  descriptions_.insert(descriptions_.end(), bytes, bytes + name.size());
  put(descriptions_, static_cast<uint32_t>(shape.size()));
  for (auto size = shape.rbegin(); size != shape.rend(); ++size) put<uint64_t>(descriptions_, *size);
  put(descriptions_, *number);
  put(descriptions_, next_offset_);
  sizes_.push_back(elements / static_cast<uint64_t>(layout.block_elements) * static_cast<uint64_t>(layout.block_bytes));
  next_offset_ += (sizes_.back() + kAlignment - 1) / kAlignment * kAlignment;
  return ok_status();
}

Status GgufWriter::pad() {
  constexpr std::byte kZeros[kAlignment] = {};
  const uint64_t rest = file_.position() % kAlignment;
  return rest == 0 ? ok_status() : file_.write(std::span(kZeros).first(kAlignment - rest));
}

Status GgufWriter::begin_data() {
  CHECK(!in_data_);
  in_data_ = true;
  std::vector<std::byte> header;
  header.insert(header.end(), {std::byte{'G'}, std::byte{'G'}, std::byte{'U'}, std::byte{'F'}});
  put<uint32_t>(header, 3);
  put<uint64_t>(header, sizes_.size());
  put<uint64_t>(header, keys_.size());
  RETURN_IF_ERROR(file_.write(header));
  RETURN_IF_ERROR(file_.write(metadata_));
  RETURN_IF_ERROR(file_.write(descriptions_));
  return pad();
}

Status GgufWriter::write(std::span<const std::byte> bytes) {
  CHECK(in_data_);
  CHECK_LT(current_, sizes_.size());
  CHECK_LE(bytes.size(), sizes_[current_] - written_);
  RETURN_IF_ERROR(file_.write(bytes));
  written_ += bytes.size();
  if (written_ < sizes_[current_]) return ok_status();
  ++current_;
  written_ = 0;
  return pad();
}

Status GgufWriter::finish() {
  if (!in_data_) RETURN_IF_ERROR(begin_data());
  CHECK_EQ(current_, sizes_.size());
  return file_.commit();
}

}  // namespace strata
