#include "model/format/checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <unordered_map>

#include "model/format/gguf.h"
#include "model/format/gguf_config.h"
#include "model/format/gguf_tensors.h"
#include "model/format/packed_module.h"
#include "model/format/quoted_name.h"
#include "model/format/safetensors.h"

namespace strata {

namespace fs = std::filesystem;

struct Checkpoint::Contents {
  fs::path path;
  fs::path folder;
  std::vector<GgufFile> parts;          // GGUF; the first one has the metadata
  std::vector<SafetensorsFile> shards;  // folders
  ConfigView config;
  GenerationDefaults generation;
  std::vector<TensorInfo> tensors;
  std::vector<std::vector<std::byte>> memory;  // of tensors that were changed
  std::unordered_map<std::string_view, size_t> index;              // of `tensors`, by canonical name
  std::map<std::string, std::string, std::less<>> unusable_types;  // canonical name -> type's name
  std::vector<std::string> unusable;
  std::string packing;
  uint64_t bytes = 0;
  bool is_blank = false;

  Status open_gguf();
  Status open_parts(int64_t n_parts);
  Status open_folder();
  Status open_shards(const fs::path& index_path);
  Status read_generation();
  void add(TensorInfo tensor);
  Result<std::set<std::string>> add_packed();
  Status add_unusable(const std::string& name, const std::string& type);
  Status build_index();
};

namespace {

constexpr int64_t kMaxParts = 99999;  // five digits in the names of parts

// "model-00001-of-00003.gguf" -> "model"; nullopt when the name has another form.
std::optional<std::string> split_prefix(const std::string& file_name) {
  constexpr size_t kTail = sizeof("-00001-of-00003.gguf") - 1;
  if (file_name.size() <= kTail) return std::nullopt;
  const std::string tail = file_name.substr(file_name.size() - kTail);
  for (size_t i = 0; i < kTail; ++i) {
    const char wanted = "-#####-of-#####.gguf"[i];
    const bool matches = wanted == '#' ? tail[i] >= '0' && tail[i] <= '9' : tail[i] == wanted;
    if (!matches) return std::nullopt;
  }
  return file_name.substr(0, file_name.size() - kTail);
}

// Ids that come as one number or as a list.
std::vector<int32_t> read_ids(const ConfigView& config, std::string_view key) {
  std::vector<int64_t> ids;
  if (config.is_array(key)) {
    ids = config.get_ints(key).value_or(std::vector<int64_t>{});
  } else if (const auto id = config.get_int(key)) {
    ids.push_back(*id);
  }
  std::set<int32_t> out;
  for (const int64_t id : ids) {
    if (id >= 0 && id <= INT32_MAX) out.insert(static_cast<int32_t>(id));
  }
  return {out.begin(), out.end()};
}

std::optional<float> read_float(const ConfigView& config, std::string_view key) {
  const auto value = config.get_double(key);
  return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
}

// What a folder without weights holds instead, to say what to do.
std::string missing_weights_advice(const fs::path& folder) {
  std::error_code error;
  bool pickled = false;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".gguf") return "give the file " + entry.path().filename().string() + " in it instead";
    if (entry.path().filename() == "adapter_model.safetensors") return "it is an adapter: give its base model";
    pickled = pickled || extension == ".bin" || extension == ".pt" || extension == ".pth";
  }
  if (pickled) return "its weights are pickled: save the model again with safe_serialization=True";
  return "download the model again, with all its files";
}

}  // namespace

void Checkpoint::Contents::add(TensorInfo tensor) {
  bytes += tensor.stored_bytes();
  tensors.push_back(std::move(tensor));
}

Status Checkpoint::Contents::add_unusable(const std::string& name, const std::string& type) {
  if (!unusable_types.emplace(name, type).second) return data_loss("tensor " + quoted_name(name) + " occurs twice");
  unusable.push_back(name + " (" + type + ")");
  return ok_status();
}

Status Checkpoint::Contents::build_index() {
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!index.emplace(tensors[i].name, i).second || unusable_types.contains(tensors[i].name)) {
      return data_loss("tensor " + quoted_name(tensors[i].name) + " occurs twice (download the model again)");
    }
  }
  return ok_status();
}

Status Checkpoint::Contents::open_parts(int64_t n_parts) {
  const auto prefix = split_prefix(path.filename().string());
  if (!prefix || n_parts > kMaxParts) {
    return invalid_argument(path.string() + ": it is one of " + std::to_string(n_parts) +
                            " parts, but its name does not end in -00001-of-0000N.gguf (rename the parts)");
  }
  for (int64_t i = 0; i < n_parts; ++i) {
    char tail[48];
    std::snprintf(tail, sizeof tail, "-%05d-of-%05d.gguf", static_cast<int>(i + 1), static_cast<int>(n_parts));
    auto part = GgufFile::open(path.parent_path() / (*prefix + tail));
    if (!part.ok()) return part.status().with_context("part " + std::to_string(i + 1) + " of a split model");
    if (part->split_count() != n_parts || part->split_number() != i) {
      return data_loss(part->path().string() + ": its metadata says it is another part (check the names of the parts)");
    }
    parts.push_back(*std::move(part));
  }
  size_t n_tensors = 0;
  for (const GgufFile& part : parts) n_tensors += part.tensors().size();
  const auto expected = parts[0].get_int("split.tensors.count");
  if (expected && *expected != static_cast<int64_t>(n_tensors)) {
    return data_loss(parts[0].path().string() + ": its parts have " + std::to_string(n_tensors) + " tensors, not " +
                     std::to_string(*expected) + " (they are not parts of one model; download them again)");
  }
  return ok_status();
}

Status Checkpoint::Contents::open_gguf() {
  ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
  if (const int64_t n_parts = file.split_count(); n_parts > 1) {
    RETURN_IF_ERROR(open_parts(n_parts));
  } else {
    parts.push_back(std::move(file));
  }
  if (parts[0].get_string("general.architecture").value_or("").empty()) {
    return data_loss(path.string() + ": general.architecture is missing");
  }
  auto fields = gguf_config(parts);
  if (!fields.ok()) return fields.status().with_context(path.string());
  config = ConfigView(*std::move(fields), path.string());
  std::set<std::string_view> stored_names;
  std::set<std::string> used;
  for (const GgufFile& part : parts) {
    for (const GgufTensor& tensor : part.tensors()) {
      if (!stored_names.insert(tensor.name).second) {
        return data_loss(part.path().string() + ": tensor " + quoted_name(tensor.name) + " occurs twice");
      }
      for (TensorInfo& presented : present_gguf_tensor(tensor, gguf_architecture(parts), config)) {
        // The table is general: where two names of an architecture it does not know meet, the second stays as stored.
        if (!used.insert(presented.name).second) presented.name = tensor.name;
        if (tensor.type) {
          add(std::move(presented));
        } else {
          RETURN_IF_ERROR(add_unusable(presented.name, "GGUF type " + std::to_string(tensor.file_type)));
        }
      }
    }
  }
  generation = gguf_generation_defaults(parts[0]);
  return ok_status();
}

Status Checkpoint::Contents::open_shards(const fs::path& index_path) {
  ASSIGN_OR_RETURN(const ConfigView listing, ConfigView::read_file(index_path));
  ASSIGN_OR_RETURN(const ConfigView weight_map, listing.require_object("weight_map"));
  std::map<std::string, std::vector<std::string>> names_of;
  for (const std::string& name : weight_map.keys()) {
    ASSIGN_OR_RETURN(const std::string shard, weight_map.require_string(name));
    if (shard.empty() || shard.find('/') != std::string::npos || shard == "." || shard == "..") {
      return invalid_argument(index_path.string() + ": " + quoted_name(shard) + " is no file name");
    }
    names_of[shard].push_back(name);
  }
  for (const auto& [shard, names] : names_of) {
    auto file = SafetensorsFile::open(folder / shard);
    if (!file.ok() && file.status().code() == Code::kNotFound) {
      return not_found((folder / shard).string() +
                       ": the index names this file, but it is missing (download the model again)");
    }
    if (!file.ok()) return file.status();
    for (const std::string& name : names) {
      if (file->find(name) == nullptr) {
        return data_loss((folder / shard).string() + ": tensor " + quoted_name(name) +
                         " is missing, which the index expects here (download this file again)");
      }
    }
    shards.push_back(*std::move(file));
  }
  return ok_status();
}

Status Checkpoint::Contents::open_folder() {
  folder = path;
  std::error_code error;
  if (!fs::exists(folder / "config.json", error)) {
    return not_found(folder.string() + ": no config.json (a model is a GGUF file or a Hugging Face folder; " +
                     missing_weights_advice(folder) + ")");
  }
  ASSIGN_OR_RETURN(config, ConfigView::read_file(folder / "config.json"));
  const fs::path index_path = folder / "model.safetensors.index.json";
  if (fs::exists(folder / "model.safetensors", error)) {
    ASSIGN_OR_RETURN(SafetensorsFile file, SafetensorsFile::open(folder / "model.safetensors"));
    shards.push_back(std::move(file));
  } else if (fs::exists(index_path, error)) {
    RETURN_IF_ERROR(open_shards(index_path));
  } else {
    return not_found(folder.string() + ": neither model.safetensors nor model.safetensors.index.json (" +
                     missing_weights_advice(folder) + ")");
  }
  ASSIGN_OR_RETURN(const std::set<std::string> packed, add_packed());
  for (const SafetensorsFile& shard : shards) {
    for (const SafetensorsTensor& tensor : shard.tensors()) {
      if (packed.contains(tensor.name)) continue;
      if (tensor.type) {
        add({tensor.name, tensor.name, *tensor.type, tensor.shape, tensor.data});
      } else {
        RETURN_IF_ERROR(add_unusable(tensor.name, tensor.type_name));
      }
    }
  }
  return read_generation();
}

// Adds the weights that are packed and gives the names of the tensors they are made of.
Result<std::set<std::string>> Checkpoint::Contents::add_packed() {
  std::optional<ConfigView> scheme = config.get_object("quantization_config");
  if (!scheme) scheme = config.get_object("compression_config");
  const auto text = config.get_object("text_config");
  if (!scheme && text) scheme = text->get_object("quantization_config");
  std::error_code error;
  if (!scheme && fs::exists(folder / "quantize_config.json", error)) {  // GPTQ's, before configurations had a place
    ASSIGN_OR_RETURN(const nlohmann::json older, read_json_file(folder / "quantize_config.json"));
    if (older.is_object()) {
      nlohmann::json object = older;
      object.emplace("quant_method", "gptq");
      scheme = ConfigView(std::move(object), "quantize_config.json");
    }
  }
  if (!scheme) return std::set<std::string>();
  StoredTensors stored;
  for (const SafetensorsFile& shard : shards) {
    for (const SafetensorsTensor& tensor : shard.tensors()) stored.emplace(tensor.name, &tensor);
  }
  Result<PackedTensors> packed = read_packed_tensors(*scheme, stored);
  if (!packed.ok()) return packed.status().with_context(path.string());
  packing = packed->scheme;
  for (PackedTensor& tensor : packed->tensors) {
    add({tensor.name, tensor.stored, tensor.weight.type, tensor.weight.shape, {}, tensor.weight.rows});
  }
  return std::move(packed->read);
}

Status Checkpoint::Contents::read_generation() {
  std::error_code error;
  ConfigView defaults;
  if (fs::exists(folder / "generation_config.json", error)) {
    ASSIGN_OR_RETURN(defaults, ConfigView::read_file(folder / "generation_config.json"));
  }
  generation.temperature = read_float(defaults, "temperature");
  generation.top_p = read_float(defaults, "top_p");
  generation.min_p = read_float(defaults, "min_p");
  generation.repetition_penalty = read_float(defaults, "repetition_penalty");
  if (const auto top_k = defaults.get_int("top_k"); top_k && *top_k >= 0 && *top_k <= INT32_MAX) {
    generation.top_k = static_cast<int>(*top_k);
  }
  generation.eos_ids = read_ids(defaults.has("eos_token_id") ? defaults : config, "eos_token_id");
  const auto begin = read_ids(defaults.has("bos_token_id") ? defaults : config, "bos_token_id");
  if (!begin.empty()) generation.bos_id = begin.front();
  RETURN_IF_ERROR(defaults.status());
  return config.status();
}

Checkpoint::Checkpoint(std::unique_ptr<Contents> contents) : contents_(std::move(contents)) {}
Checkpoint::Checkpoint(Checkpoint&&) noexcept = default;
Checkpoint& Checkpoint::operator=(Checkpoint&&) noexcept = default;
Checkpoint::~Checkpoint() = default;

Result<Checkpoint> Checkpoint::open(const fs::path& path) {
  auto contents = std::make_unique<Contents>();
  contents->path = path;
  std::error_code error;
  const fs::file_status kind = fs::status(path, error);
  if (kind.type() == fs::file_type::not_found) return not_found(path.string() + ": no such file or folder");
  if (fs::is_directory(kind)) {
    RETURN_IF_ERROR(contents->open_folder());
  } else if (path.extension() == ".safetensors") {
    return invalid_argument(path.string() + ": weights alone are no model (give the folder with config.json)");
  } else {
    RETURN_IF_ERROR(contents->open_gguf());
  }
  if (const Status status = contents->build_index(); !status.ok()) return status.with_context(path.string());
  return Checkpoint(std::move(contents));
}

Checkpoint Checkpoint::blank(ConfigView config, const std::vector<std::string>& published) {
  std::vector<TensorInfo> tensors;
  for (const std::string& name : published) tensors.push_back({name, name, DType::kF32, {}, {}});
  return blank(std::move(config), std::move(tensors));
}

Checkpoint Checkpoint::blank(ConfigView config, std::vector<TensorInfo> tensors) {
  auto contents = std::make_unique<Contents>();
  contents->is_blank = true;
  contents->path = "model";
  contents->config = std::move(config);
  for (TensorInfo& tensor : tensors) contents->add(std::move(tensor));
  for (size_t i = 0; i < contents->tensors.size(); ++i) contents->index.emplace(contents->tensors[i].name, i);
  return Checkpoint(std::move(contents));
}

void Checkpoint::change(ConfigView config, std::vector<TensorInfo> tensors,
                        std::vector<std::vector<std::byte>> memory) {
  contents_->config = std::move(config);
  for (TensorInfo& tensor : tensors) {
    TensorInfo& old = contents_->tensors[contents_->index.at(tensor.name)];
    contents_->bytes -= old.stored_bytes();
    contents_->bytes += tensor.stored_bytes();
    old.shape = std::move(tensor.shape);  // the index has views of the name
    old.data = tensor.data;
    old.made = std::move(tensor.made);
  }
  for (std::vector<std::byte>& bytes : memory) contents_->memory.push_back(std::move(bytes));
}

bool Checkpoint::is_blank() const { return contents_->is_blank; }

const ConfigView& Checkpoint::config() const { return contents_->config; }
const GenerationDefaults& Checkpoint::generation() const { return contents_->generation; }

const TensorInfo* Checkpoint::find(std::string_view name) const {
  // Decoders saved without their head, as embedding models often are, lack the "model." before every name.
  constexpr std::string_view kBase = "model.";
  auto found = contents_->index.find(name);
  if (found == contents_->index.end() && name.starts_with(kBase))
    found = contents_->index.find(name.substr(kBase.size()));
  return found == contents_->index.end() ? nullptr : &contents_->tensors[found->second];
}

Result<const TensorInfo*> Checkpoint::require(std::string_view name) const {
  if (const TensorInfo* tensor = find(name)) return tensor;
  const std::string where = contents_->path.string() + ": tensor " + quoted_name(name);
  const auto unusable = contents_->unusable_types.find(name);
  if (unusable != contents_->unusable_types.end()) {
    return invalid_argument(where + " has the type " + unusable->second +
                            ", which is not computed with (convert the model to BF16, F16 or F32)");
  }
  return not_found(where + " is missing");
}

const std::vector<TensorInfo>& Checkpoint::tensors() const { return contents_->tensors; }
const std::vector<std::string>& Checkpoint::unusable_tensors() const { return contents_->unusable; }
uint64_t Checkpoint::weight_bytes() const { return contents_->bytes; }

void Checkpoint::release(std::span<const std::byte> data) const {
  for (const GgufFile& part : contents_->parts) part.release(data);
  for (const SafetensorsFile& shard : contents_->shards) shard.release(data);
}

const fs::path& Checkpoint::path() const { return contents_->path; }
const fs::path& Checkpoint::folder() const { return contents_->folder; }
std::span<const GgufFile> Checkpoint::gguf_parts() const { return contents_->parts; }
const GgufFile* Checkpoint::gguf() const { return contents_->parts.empty() ? nullptr : &contents_->parts.front(); }

std::vector<const MappedFile*> Checkpoint::weight_files() const {
  std::vector<const MappedFile*> files;
  for (const GgufFile& part : contents_->parts) files.push_back(&part.file());
  for (const SafetensorsFile& shard : contents_->shards) files.push_back(&shard.file());
  return files;
}

const std::string& Checkpoint::packing() const { return contents_->packing; }

void Checkpoint::release(const TensorInfo& tensor) const {
  release(tensor.data);
  if (tensor.made == nullptr) return;
  for (const auto part : tensor.made->parts()) release(part);
}

uint64_t TensorInfo::stored_bytes() const {
  uint64_t bytes = data.size();
  if (made == nullptr) return bytes;
  for (const auto part : made->parts()) bytes += part.size();
  return bytes;
}

std::span<const std::byte> TensorInfo::rows(int64_t begin, int64_t end, std::vector<std::byte>& buffer) const {
  const size_t bytes = row_bytes(type, shape.empty() ? 1 : shape.back());
  const size_t size = static_cast<size_t>(end - begin) * bytes;
  if (made == nullptr) return data.subspan(static_cast<size_t>(begin) * bytes, size);
  buffer.resize(size);
  made->read(begin, end, buffer.data());
  return buffer;
}

Hash128 content_hash(const TensorInfo& tensor) {
  std::vector<std::byte> made;
  const Hash128 bytes = hash_bytes(tensor.made == nullptr ? tensor.data : tensor.rows(0, tensor.shape[0], made));
  std::vector<uint64_t> whole = {bytes.low, bytes.high, static_cast<uint64_t>(tensor.type)};
  whole.insert(whole.end(), tensor.shape.begin(), tensor.shape.end());
  return hash_bytes(std::as_bytes(std::span(whole)));
}

}  // namespace strata
