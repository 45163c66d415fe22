// A model on disk, in one shape for both kinds of files: a GGUF file (also one split in parts) or a Hugging Face folder
// (config.json and one or several safetensors files). Configuration and tensors have the names Hugging Face published,
// so an architecture file reads one spelling; for GGUF they are translated (tensor_names.h, gguf_config.h).
//
// What GGUF stores differently is NOT undone, because the bytes stay mapped; fields of config() say it (the list:
// docs/adr/0002-hugging-face-names-inside.md). Experts of a layer are one tensor [experts, out, in] named
// "...mlp.experts.gate_proj.weight"; Hugging Face folders have one tensor [out, in] per expert,
// "...mlp.experts.7.gate_proj.weight".
//
// Thread rule: immutable after open(), any thread may read. Ownership: TensorInfo and its bytes live as long as the
// Checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/status.h"
#include "compute/tensor/dtype.h"
#include "model/format/config_view.h"
#include "model/format/generation_defaults.h"

namespace strata {

class GgufFile;
class MappedFile;
class RowSource;

struct TensorInfo {
  std::string name;         // canonical: "model.layers.0.self_attn.q_proj.weight"
  std::string stored_name;  // as in the file: "blk.0.attn_q.weight"
  DType type = DType::kF32;
  std::vector<int64_t> shape;  // outermost first: [out, in] or [experts, out, in]
  // Rows contiguous, row_bytes(type, shape.back()) each; aligned for plain numbers. Empty where `made` gives them.
  std::span<const std::byte> data;
  std::shared_ptr<const RowSource> made = nullptr;  // of a packed form (packed_module.h)

  uint64_t stored_bytes() const;
  // Rows [begin, end), all dimensions but the last seen as rows: in `data`, or made into `buffer`.
  std::span<const std::byte> rows(int64_t begin, int64_t end, std::vector<std::byte>& buffer) const;
};

class Checkpoint {
 public:
  // `path`: a .gguf file or a folder. kNotFound names what is missing and says what to do; kInvalidArgument and
  // kDataLoss name the file, tensor or field at fault.
  static Result<Checkpoint> open(const std::filesystem::path& path);
  // A model that is still to be made: a configuration and no numbers. `published`: names that find() gives, by whose
  // presence an architecture tells how its tensors are named.
  static Checkpoint blank(ConfigView config, const std::vector<std::string>& published);
  // The same with all of its tensors; their bytes need not be there.
  static Checkpoint blank(ConfigView config, std::vector<TensorInfo> tensors);
  bool is_blank() const;
  // Puts another configuration in place, and other shapes and bytes of some of the tensors, which may lie in `memory`:
  // a model that is part of this one (model/width.h).
  void change(ConfigView config, std::vector<TensorInfo> tensors, std::vector<std::vector<std::byte>> memory);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  // As config.json spells it. GGUF adds `gguf_architecture` (general.architecture) and has no `architectures`.
  const ConfigView& config() const;
  const GenerationDefaults& generation() const;

  // nullptr when there is no such tensor, or one of a type Strata does not compute with.
  const TensorInfo* find(std::string_view name) const;
  // The same with the reason as a Status: absent (kNotFound), or its type (kInvalidArgument).
  Result<const TensorInfo*> require(std::string_view name) const;
  const std::vector<TensorInfo>& tensors() const;            // usable ones, in file order
  const std::vector<std::string>& unusable_tensors() const;  // "NAME (TYPE)" of the others
  uint64_t weight_bytes() const;                             // of tensors()

  // Lets the system drop the mapped pages of a tensor, or of a part of it, once it was packed.
  void release(const TensorInfo& tensor) const;
  void release(std::span<const std::byte> data) const;

  // How weights are packed, as the configuration words it ("gptq, 4 bits, groups of 128"); empty: they are not.
  const std::string& packing() const;

  const std::filesystem::path& path() const;
  const std::filesystem::path& folder() const;  // of a Hugging Face folder; empty for GGUF
  const GgufFile* gguf() const;                 // nullptr for folders; the first part of a split one
  std::span<const GgufFile> gguf_parts() const;
  // The files with the weights: all that decides them, together with config() (how they are packed).
  std::vector<const MappedFile*> weight_files() const;

 private:
  struct Contents;
  explicit Checkpoint(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

// Content hash of a tensor: its bytes, type and shape. Reads all of it.
Hash128 content_hash(const TensorInfo& tensor);

}  // namespace strata
