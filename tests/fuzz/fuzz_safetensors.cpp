// Safetensors files of any bytes: opening one must never do more than fail, and its tensors must be readable.
#include "fuzz_file.h"
#include "model/format/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const strata::fuzz::InputFile input(data, size);
  const auto file = strata::SafetensorsFile::open(input.path());
  if (!file.ok()) {
    if (file.status().message().find('\n') != std::string::npos) __builtin_trap();
    return 0;
  }
  uint64_t sum = 0;
  for (const auto& tensor : file->tensors()) {
    if (file->find(tensor.name) != &tensor) __builtin_trap();
    if (!tensor.data.empty())
      sum += static_cast<uint64_t>(tensor.data.front()) + static_cast<uint64_t>(tensor.data.back());
    file->release(tensor.data);
  }
  volatile uint64_t keep = sum;
  (void)keep;
  return 0;
}
