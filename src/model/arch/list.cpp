#include <string>

#include "model/arch/architecture.h"
#include "model/arch/models.h"

namespace strata {
namespace {

constexpr Architecture kArchitectures[] = {
    {"DeepseekV3ForCausalLM", "deepseek2", deepseek_v3::build},
    {"GPT2LMHeadModel", "gpt2", gpt2::build},
    {"Gemma2ForCausalLM", "gemma2", gemma2::build},
    {"GptOssForCausalLM", "gpt-oss", gpt_oss::build},
    {"LlamaForCausalLM", "llama", llama::build},
    {"MistralForCausalLM", "mistral", mistral::build},
    {"MixtralForCausalLM", "mixtral", mixtral::build},
    {"Olmo2ForCausalLM", "olmo2", olmo2::build},
    {"Phi3ForCausalLM", "phi3", phi3::build},
    {"Qwen2ForCausalLM", "qwen2", qwen2::build},
    {"Qwen3ForCausalLM", "qwen3", qwen3::build},
    {"Qwen3MoeForCausalLM", "qwen3moe", qwen3_moe::build},
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
