// Adapters of any bytes: a configuration up to the first NUL, then adapter_model.safetensors. Opening one must never do
// more than fail, and what it gives must be readable.
#include <cstring>
#include <fstream>

#include "fuzz_file.h"
#include "model/format/lora_adapter.h"

namespace {

std::filesystem::path folder() {
  static const std::string path = [] {
    char name[] = "/tmp/fuzz_lora_XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    return std::string(name);
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* end = static_cast<const uint8_t*>(std::memchr(data, 0, size));
  const size_t config = end == nullptr ? 0 : static_cast<size_t>(end - data) + 1;
  std::ofstream(folder() / "adapter_config.json", std::ios::binary)
      << (config > 1 ? std::string(reinterpret_cast<const char*>(data), config - 1) : std::string(R"({"r": 2})"));
  const strata::fuzz::InputFile weights(data + config, size - config);
  std::filesystem::remove(folder() / "adapter_model.safetensors");
  std::filesystem::create_symlink(weights.path(), folder() / "adapter_model.safetensors");
  const auto adapter = strata::LoraAdapter::open(folder());
  if (!adapter.ok()) {
    if (adapter.status().message().find('\n') != std::string::npos) __builtin_trap();
    return 0;
  }
  uint64_t sum = 0;
  for (const auto& [weight, pair] : adapter->pairs()) {
    if (pair.a.shape[0] != pair.b.shape[1]) __builtin_trap();
    for (const auto* tensor : {&pair.a, &pair.b}) {
      if (!tensor->data.empty()) sum += static_cast<uint64_t>(tensor->data.back());
    }
  }
  volatile uint64_t keep = sum;
  (void)keep;
  return 0;
}
