#include <string>

#include "model/arch/architecture.h"
#include "model/arch/models.h"

namespace strata {
namespace {

constexpr Architecture kArchitectures[] = {
    {"LlamaForCausalLM", "llama", llama::build},
    {"Qwen3MoeForCausalLM", "qwen3moe", qwen3_moe::build},
    {"DeepseekV3ForCausalLM", "deepseek2", deepseek_v3::build},
};

std::string known_names(bool gguf) {
  std::string names;
  for (const Architecture& a : kArchitectures)
    names += (names.empty() ? "" : ", ") + std::string(gguf ? a.gguf_name : a.name);
  return names;
}

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

Result<BuiltModel> build_model(const Checkpoint& checkpoint) {
  const bool gguf = checkpoint.gguf() != nullptr;
  std::string wanted;
  if (gguf) {
    wanted = checkpoint.config().get_string("gguf_architecture").value_or("");
  } else if (const auto names = checkpoint.config().get_strings("architectures"); names && !names->empty()) {
    wanted = names->front();
  }
  for (const Architecture& architecture : kArchitectures) {
    if ((gguf ? architecture.gguf_name : architecture.name) != wanted) continue;
    Result<BuiltModel> built = architecture.build(checkpoint);
    if (!built.ok()) return built.status().with_context(checkpoint.path().string());
    built->config.architecture = architecture.name;
    return built;
  }
  return invalid_argument(checkpoint.path().string() + ": unknown architecture \"" + wanted +
                          "\" (known: " + known_names(gguf) + ")");
}

}  // namespace strata
