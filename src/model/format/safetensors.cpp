#include "model/format/safetensors.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "model/format/quoted_name.h"

namespace strata {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
constexpr size_t kMaxDimensions = 8;

struct ElementType {
  std::string_view name;
  uint64_t bits;
  std::optional<DType> type;
};
constexpr ElementType kElementTypes[] = {
    {"F32", 32, DType::kF32},
    {"F16", 16, DType::kF16},
    {"BF16", 16, DType::kBF16},
    {"I8", 8, DType::kI8},
    {"I32", 32, DType::kI32},
    {"I64", 64, DType::kI64},
    {"F64", 64, {}},
    {"I16", 16, {}},
    {"U8", 8, {}},
    {"U16", 16, {}},
    {"U32", 32, {}},
    {"U64", 64, {}},
    {"BOOL", 8, {}},
    {"F8_E5M2", 8, {}},
    {"F8_E4M3", 8, {}},
    {"F8_E8M0", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},
    {"F8_E4M3FNUZ", 8, {}},
    {"F4", 4, {}},
    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},
    {"C64", 64, {}},
};

const ElementType* find_element_type(std::string_view name) {
  for (const auto& type : kElementTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

}  // namespace

// Reads the header of a mapped file.
class SafetensorsParser {
 public:
  explicit SafetensorsParser(SafetensorsFile& file) : file_(file), bytes_(file.file_.bytes()) {}

  Status parse() {
    uint64_t header_bytes = 0;
    if (bytes_.size() < sizeof header_bytes) return data_loss("not a safetensors file: shorter than 8 bytes");
    std::memcpy(&header_bytes, bytes_.data(), sizeof header_bytes);
    if (header_bytes > kMaxHeaderBytes || header_bytes > bytes_.size() - sizeof header_bytes) {
      return data_loss("its header claims " + std::to_string(header_bytes) +
                       " bytes, which the file does not have (not safetensors, or truncated; copy it again)");
    }
    data_ = bytes_.subspan(sizeof header_bytes + header_bytes);
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    simdjson::dom::object object;
    const auto* text = reinterpret_cast<const char*>(bytes_.data()) + sizeof header_bytes;
    if (const auto error = parser.parse(text, header_bytes, true).get(root)) {
      return data_loss(std::string("its header is not JSON: ") + simdjson::error_message(error));
    }
    if (root.get(object) != simdjson::SUCCESS) return data_loss("its header is not a JSON object");
    for (const auto& [key, value] : object) {
      RETURN_IF_ERROR(key == "__metadata__" ? read_metadata(value) : read_tensor(key, value));
    }
    RETURN_IF_ERROR(check_overlap());
    align_tensors();
    return ok_status();
  }

 private:
  Status read_metadata(simdjson::dom::element value) {
    simdjson::dom::object object;
    if (value.get(object) != simdjson::SUCCESS) return data_loss("__metadata__ is not an object");
    for (const auto& [key, entry] : object) {
      std::string_view text;
      if (entry.get(text) != simdjson::SUCCESS) return data_loss("__metadata__ has a value that is not a string");
      file_.metadata_.emplace(key, text);
    }
    return ok_status();
  }

  Status read_tensor(std::string_view name, simdjson::dom::element value) {
    const std::string where = "tensor " + quoted_name(name);
    SafetensorsTensor tensor;
    tensor.name = name;
    std::string_view type_name;
    if (value["dtype"].get(type_name) != simdjson::SUCCESS) return data_loss(where + ": dtype is missing or no string");
    const ElementType* type = find_element_type(type_name);
    tensor.type_name = type_name.substr(0, 16);
    if (type != nullptr) tensor.type = type->type;
    uint64_t elements = 1;
    RETURN_IF_ERROR(read_shape(where, value, tensor.shape, elements));
    uint64_t begin = 0;
    uint64_t end = 0;
    RETURN_IF_ERROR(read_offsets(where, value, begin, end));
    if (type != nullptr) {
      uint64_t bits = 0;
      if (__builtin_mul_overflow(elements, type->bits, &bits) || bits % 8 != 0) {
        return data_loss(where + ": its size overflows or is no whole number of bytes");
      }
      if (bits / 8 != end - begin) {
        return data_loss(where + ": shape and dtype need " + std::to_string(bits / 8) + " bytes, data_offsets give " +
                         std::to_string(end - begin));
      }
    }
    tensor.data = data_.subspan(begin, end - begin);
    if (!file_.names_.emplace(tensor.name, file_.tensors_.size()).second) return data_loss(where + " occurs twice");
    file_.tensors_.push_back(std::move(tensor));
    return ok_status();
  }

  static Status read_shape(const std::string& where, simdjson::dom::element value, std::vector<int64_t>& shape,
                           uint64_t& elements) {
    simdjson::dom::array dimensions;
    if (value["shape"].get(dimensions) != simdjson::SUCCESS) return data_loss(where + ": shape is missing or no array");
    for (const auto dimension : dimensions) {
      uint64_t size = 0;
      if (dimension.get(size) != simdjson::SUCCESS) return data_loss(where + ": shape holds something that is no size");
      if (shape.size() == kMaxDimensions) return data_loss(where + ": more than 8 dimensions");
      if (__builtin_mul_overflow(elements, size, &elements) || size > std::numeric_limits<int64_t>::max()) {
        return data_loss(where + ": the product of its dimensions overflows");
      }
      shape.push_back(static_cast<int64_t>(size));
    }
    return ok_status();
  }

  Status read_offsets(const std::string& where, simdjson::dom::element value, uint64_t& begin, uint64_t& end) const {
    simdjson::dom::array offsets;
    if (value["data_offsets"].get(offsets) != simdjson::SUCCESS || offsets.size() != 2 ||
        offsets.at(0).get(begin) != simdjson::SUCCESS || offsets.at(1).get(end) != simdjson::SUCCESS) {
      return data_loss(where + ": data_offsets is not a pair of offsets");
    }
    if (begin > end || end > data_.size()) {
      return data_loss(where + " lies outside the file (it is truncated or corrupt; copy it again)");
    }
    return ok_status();
  }

  Status check_overlap() const {
    std::vector<const SafetensorsTensor*> order;
    for (const auto& tensor : file_.tensors_) {
      if (!tensor.data.empty()) order.push_back(&tensor);
    }
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->data.data() < b->data.data(); });
    for (size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1]->data.data() + order[i - 1]->data.size() > order[i]->data.data()) {
        return data_loss("tensors " + quoted_name(order[i - 1]->name) + " and " + quoted_name(order[i]->name) +
                         " overlap");
      }
    }
    return ok_status();
  }

  // Old writers did not pad the header, so elements may lie at odd addresses: those tensors are copied.
  void align_tensors() {
    for (auto& tensor : file_.tensors_) {
      if (!tensor.type || tensor.data.empty()) continue;
      if (reinterpret_cast<uintptr_t>(tensor.data.data()) % static_cast<size_t>(traits(*tensor.type).block_bytes) == 0)
        continue;
      file_.copies_.push_back(std::make_unique<std::byte[]>(tensor.data.size()));
      std::memcpy(file_.copies_.back().get(), tensor.data.data(), tensor.data.size());
      tensor.data = {file_.copies_.back().get(), tensor.data.size()};
    }
  }

  SafetensorsFile& file_;
  std::span<const std::byte> bytes_;
  std::span<const std::byte> data_;
};

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  SafetensorsFile file(path, std::move(mapped));
  if (const Status status = SafetensorsParser(file).parse(); !status.ok()) return status.with_context(path.string());
  return file;
}

const SafetensorsTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &tensors_[found->second];
}

void SafetensorsFile::release(std::span<const std::byte> data) const {
  const std::span<const std::byte> mapped = file_.bytes();
  if (data.empty() || data.data() < mapped.data() || data.data() >= mapped.data() + mapped.size()) return;  // a copy
  file_.release(static_cast<size_t>(data.data() - mapped.data()), data.size());
}

}  // namespace strata
