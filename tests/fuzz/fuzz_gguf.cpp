// GGUF files of any bytes: opening one must never do more than fail, and everything it then hands out must be readable.
#include "fuzz_file.h"
#include "model/format/checkpoint.h"
#include "model/format/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const strata::fuzz::InputFile input(data, size);
  const auto file = strata::GgufFile::open(input.path());
  if (!file.ok()) {
    if (file.status().message().find('\n') != std::string::npos) __builtin_trap();
    return 0;
  }
  uint64_t sum = 0;
  for (const auto& [key, value] : file->metadata()) {
    if (file->find(key) == nullptr) __builtin_trap();
    sum += static_cast<uint64_t>(value.as_int().value_or(0)) + value.as_string().value_or("").size();
    if (const auto strings = value.as_strings()) {
      for (const auto text : *strings) sum += text.empty() ? 0 : static_cast<unsigned char>(text.back());
    }
    if (const auto numbers = value.as_doubles()) sum += numbers->size();
    if (const auto numbers = value.as_ints()) sum += numbers->size();
  }
  for (const auto& tensor : file->tensors()) {
    if (!tensor.data.empty())
      sum += static_cast<uint64_t>(tensor.data.front()) + static_cast<uint64_t>(tensor.data.back());
  }
  volatile uint64_t keep = sum;
  (void)keep;
  const auto checkpoint = strata::Checkpoint::open(input.path());
  if (checkpoint.ok() && file->split_count() <= 1 &&  // joined tensors count as several
      checkpoint->tensors().size() + checkpoint->unusable_tensors().size() < file->tensors().size()) {
    __builtin_trap();
  }
  if (checkpoint.ok()) {
    for (const auto& tensor : checkpoint->tensors()) {
      if (!tensor.data.empty())
        sum += static_cast<uint64_t>(tensor.data.front()) + static_cast<uint64_t>(tensor.data.back());
    }
    keep = sum;
  }
  return 0;
}
