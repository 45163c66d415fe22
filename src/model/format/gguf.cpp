#include "model/format/gguf.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "model/format/quoted_name.h"

namespace strata {
namespace {

struct TypeNumber {
  DType type;
  uint32_t number;
};
constexpr TypeNumber kTypeNumbers[] = {
    {DType::kF32, 0},   {DType::kF16, 1},   {DType::kQ4_0, 2},    {DType::kQ4_1, 3},    {DType::kQ5_0, 6},
    {DType::kQ5_1, 7},  {DType::kQ8_0, 8},  {DType::kQ2_K, 10},   {DType::kQ3_K, 11},   {DType::kQ4_K, 12},
    {DType::kQ5_K, 13}, {DType::kQ6_K, 14}, {DType::kIQ4_NL, 20}, {DType::kIQ4_XS, 23}, {DType::kI8, 24},
    {DType::kI32, 26},  {DType::kI64, 27},  {DType::kBF16, 30},   {DType::kMXFP4, 39},
};

// Limits of the format's description.
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxTensorNameBytes = 64;
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxAlignment = 1 << 20;
// The fewest bytes an entry can take: used to refuse counts that the file cannot hold, before anything is reserved.
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1;
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;

constexpr uint32_t kMagic = 0x46554747;  // "GGUF" read as a little-endian number

}  // namespace

std::optional<uint32_t> gguf_type_number(DType type) {
  for (const auto& entry : kTypeNumbers) {
    if (entry.type == type) return entry.number;
  }
  return std::nullopt;
}

std::optional<DType> dtype_from_gguf(uint32_t number) {
  for (const auto& entry : kTypeNumbers) {
    if (entry.number == number) return entry.type;
  }
  return std::nullopt;
}

// Reads the structure of a mapped file once, front to back.
class GgufParser {
 public:
  explicit GgufParser(GgufFile& file) : file_(file), bytes_(file.file_.bytes()) {}

  Status parse() {
    RETURN_IF_ERROR(read_header());
    for (uint64_t i = 0; i < key_count_; ++i) RETURN_IF_ERROR(read_key());
    RETURN_IF_ERROR(read_alignment());
    for (uint64_t i = 0; i < tensor_count_; ++i) RETURN_IF_ERROR(read_tensor());
    RETURN_IF_ERROR(place_tensors());
    return index_names();
  }

 private:
  template <class T>
  bool take(T& value) {
    if (bytes_.size() - position_ < sizeof(T)) return false;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return true;
  }

  bool take_string(std::string_view& out) {
    uint64_t length = 0;
    if (!take(length) || length > bytes_.size() - position_) return false;
    out = {reinterpret_cast<const char*>(bytes_.data() + position_), static_cast<size_t>(length)};
    position_ += length;
    return true;
  }

  Status truncated(const std::string& where) const {
    return data_loss("the file ends inside " + where + " (it is truncated or corrupt; copy it again)");
  }

  Status read_header() {
    uint32_t magic = 0;
    if (!take(magic)) return invalid_argument("not a GGUF file: shorter than its magic number");
    if (magic != kMagic) return invalid_argument("not a GGUF file: it does not begin with 'GGUF'");
    if (!take(file_.version_)) return truncated("the header");
    if (file_.version_ == 0x02000000 || file_.version_ == 0x03000000) {
      return invalid_argument("big-endian GGUF is not read (convert it to little-endian)");
    }
    if (file_.version_ != 2 && file_.version_ != 3) {
      return invalid_argument("GGUF version " + std::to_string(file_.version_) + " is not read, only 2 and 3");
    }
    if (!take(tensor_count_) || !take(key_count_)) return truncated("the header");
    const uint64_t left = bytes_.size() - position_;
    if (key_count_ > left / kMinKeyBytes) {
      return data_loss("it claims " + std::to_string(key_count_) + " metadata keys, more than its size can hold");
    }
    if (tensor_count_ > left / kMinTensorBytes) {
      return data_loss("it claims " + std::to_string(tensor_count_) + " tensors, more than its size can hold");
    }
    return ok_status();
  }

  Status read_key() {
    std::string_view key;
    const std::string number = "metadata key " + std::to_string(file_.metadata_.size());
    if (!take_string(key)) return truncated(number);
    if (key.empty() || key.size() > kMaxKeyBytes) {
      return data_loss(number + ": its name has " + std::to_string(key.size()) + " bytes (allowed: 1 to 65535)");
    }
    uint32_t type = 0;
    if (!take(type)) return truncated("metadata " + quoted_name(key));
    const size_t begin = position_;
    RETURN_IF_ERROR(skip_value(key, type));
    if (!file_.keys_.emplace(key, file_.metadata_.size()).second) {
      return data_loss("metadata key " + quoted_name(key) + " occurs twice");
    }
    file_.metadata_.emplace_back(key, GgufValue{static_cast<GgufType>(type), bytes_.subspan(begin, position_ - begin)});
    return ok_status();
  }

  // Bytes of a number or bool; 0 for strings, arrays and unknown types.
  static uint64_t fixed_bytes(uint32_t type) {
    constexpr uint8_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < std::size(kBytes) ? kBytes[type] : 0;
  }

  Status skip_value(std::string_view key, uint32_t type) {
    constexpr auto kString = static_cast<uint32_t>(GgufType::kString);
    constexpr auto kArray = static_cast<uint32_t>(GgufType::kArray);
    const std::string where = "metadata " + quoted_name(key);
    if (type == kArray) return skip_array(where);
    if (type == kString) {
      std::string_view ignored;
      return take_string(ignored) ? ok_status() : truncated(where);
    }
    const uint64_t bytes = fixed_bytes(type);
    if (bytes == 0) return data_loss(where + " has the unknown type " + std::to_string(type));
    if (bytes > bytes_.size() - position_) return truncated(where);
    position_ += bytes;
    return ok_status();
  }

  Status skip_array(const std::string& where) {
    uint32_t type = 0;
    uint64_t count = 0;
    if (!take(type) || !take(count)) return truncated(where);
    if (type == static_cast<uint32_t>(GgufType::kArray))
      return data_loss(where + " is an array of arrays, which is not read");
    const uint64_t left = bytes_.size() - position_;
    if (type == static_cast<uint32_t>(GgufType::kString)) {
      if (count > left / sizeof(uint64_t)) return truncated(where);
      std::string_view ignored;
      for (uint64_t i = 0; i < count; ++i) {
        if (!take_string(ignored)) return truncated(where);
      }
      return ok_status();
    }
    const uint64_t bytes = fixed_bytes(type);
    if (bytes == 0) return data_loss(where + " is an array of the unknown type " + std::to_string(type));
    if (count > left / bytes) return truncated(where);
    position_ += count * bytes;
    return ok_status();
  }

  Status read_alignment() {
    const GgufValue* value = file_.find("general.alignment");
    if (value == nullptr) return ok_status();
    const auto alignment = value->as_int();
    // A multiple of 8 keeps every element type aligned in the mapping.
    if (!alignment || *alignment < 8 || *alignment > static_cast<int64_t>(kMaxAlignment) ||
        (*alignment & (*alignment - 1)) != 0) {
      return data_loss("general.alignment must be a power of two from 8 to " + std::to_string(kMaxAlignment));
    }
    file_.alignment_ = static_cast<uint64_t>(*alignment);
    return ok_status();
  }

  Status read_tensor() {
    GgufTensor tensor;
    const std::string number = "the description of tensor " + std::to_string(file_.tensors_.size());
    if (!take_string(tensor.name)) return truncated(number);
    if (tensor.name.empty() || tensor.name.size() > kMaxTensorNameBytes) {
      return data_loss(number + ": its name has " + std::to_string(tensor.name.size()) + " bytes (allowed: 1 to 64)");
    }
    const std::string where = "tensor " + quoted_name(tensor.name);
    uint32_t n_dimensions = 0;
    if (!take(n_dimensions)) return truncated(where);
    if (n_dimensions > kMaxDimensions) {
      return data_loss(where + " has " + std::to_string(n_dimensions) + " dimensions (at most 4 are allowed)");
    }
    tensor.shape.resize(n_dimensions);
    for (auto dimension = tensor.shape.rbegin(); dimension != tensor.shape.rend(); ++dimension) {
      if (!take(*dimension)) return truncated(where);
      if (*dimension <= 0) return data_loss(where + " has a dimension that is not positive");
    }
    Placement placement;
    if (!take(tensor.file_type) || !take(placement.offset)) return truncated(where);
    tensor.type = dtype_from_gguf(tensor.file_type);
    RETURN_IF_ERROR(measure(tensor, where, placement.bytes));
    if (placement.offset % file_.alignment_ != 0) {
      return data_loss(where + " begins at offset " + std::to_string(placement.offset) +
                       ", no multiple of the alignment " + std::to_string(file_.alignment_));
    }
    file_.tensors_.push_back(std::move(tensor));
    placements_.push_back(placement);
    return ok_status();
  }

  // Bytes of a tensor; the product of its dimensions must stay within 63 bits. Types unknown here count as empty.
  static Status measure(const GgufTensor& tensor, const std::string& where, uint64_t& bytes) {
    uint64_t elements = 1;
    for (const int64_t dimension : tensor.shape) {
      if (__builtin_mul_overflow(elements, static_cast<uint64_t>(dimension), &elements) ||
          elements > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
        return data_loss(where + ": the product of its dimensions overflows");
      }
    }
    if (!tensor.type) return ok_status();
    const DTypeTraits& layout = traits(*tensor.type);
    const auto block = static_cast<uint64_t>(layout.block_elements);
    const uint64_t row = tensor.shape.empty() ? 1 : static_cast<uint64_t>(tensor.shape.back());
    if (row % block != 0) {
      return data_loss(where + ": rows of " + std::to_string(row) + " are no multiple of the " + std::to_string(block) +
                       " elements of a " + std::string(layout.name) + " block");
    }
    if (__builtin_mul_overflow(elements / block, static_cast<uint64_t>(layout.block_bytes), &bytes)) {
      return data_loss(where + ": its size overflows");
    }
    return ok_status();
  }

  // Turns offsets into spans: every tensor inside the file, none over another.
  Status place_tensors() {
    const uint64_t mask = file_.alignment_ - 1;
    const uint64_t data_begin = (position_ + mask) & ~mask;
    const uint64_t data_bytes = bytes_.size() > data_begin ? bytes_.size() - data_begin : 0;
    std::vector<size_t> order(placements_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return placements_[a].offset < placements_[b].offset; });
    uint64_t end = 0;
    size_t last = 0;
    for (const size_t i : order) {
      GgufTensor& tensor = file_.tensors_[i];
      const Placement& place = placements_[i];
      if (place.offset > data_bytes || place.bytes > data_bytes - place.offset) {
        return data_loss("tensor " + quoted_name(tensor.name) +
                         " lies outside the file (it is truncated or corrupt; copy it again)");
      }
      if (place.bytes == 0) continue;
      if (place.offset < end) {
        return data_loss("tensors " + quoted_name(file_.tensors_[last].name) + " and " + quoted_name(tensor.name) +
                         " overlap");
      }
      end = place.offset + place.bytes;
      last = i;
      tensor.data = bytes_.subspan(data_begin + place.offset, place.bytes);
    }
    return ok_status();
  }

  Status index_names() {
    for (size_t i = 0; i < file_.tensors_.size(); ++i) {
      if (!file_.names_.emplace(file_.tensors_[i].name, i).second) {
        return data_loss("tensor " + quoted_name(file_.tensors_[i].name) + " occurs twice");
      }
    }
    return ok_status();
  }

  struct Placement {
    uint64_t offset = 0;  // from the begin of the data section
    uint64_t bytes = 0;
  };

  GgufFile& file_;
  std::span<const std::byte> bytes_;
  size_t position_ = 0;
  uint64_t tensor_count_ = 0;
  uint64_t key_count_ = 0;
  std::vector<Placement> placements_;
};

Result<GgufFile> GgufFile::open(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::open(path));
  GgufFile file(path, std::move(mapped));
  if (const Status status = GgufParser(file).parse(); !status.ok()) return status.with_context(path.string());
  return file;
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? nullptr : &metadata_[found->second].second;
}

std::optional<int64_t> GgufFile::get_int(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr ? value->as_int() : std::nullopt;
}

std::optional<double> GgufFile::get_double(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr ? value->as_double() : std::nullopt;
}

std::optional<bool> GgufFile::get_bool(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr ? value->as_bool() : std::nullopt;
}

std::optional<std::string_view> GgufFile::get_string(std::string_view key) const {
  const GgufValue* value = find(key);
  return value != nullptr ? value->as_string() : std::nullopt;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? nullptr : &tensors_[found->second];
}

void GgufFile::release(std::span<const std::byte> data) const {
  const std::span<const std::byte> mapped = file_.bytes();
  if (data.empty() || data.data() < mapped.data() || data.data() >= mapped.data() + mapped.size()) return;
  file_.release(static_cast<size_t>(data.data() - mapped.data()), data.size());
}

}  // namespace strata
