#include <string>

#include "model/arch/architecture.h"
#include "model/arch/models.h"

namespace strata {
namespace {

// Of lines with one GGUF name the first reads GGUF files.
constexpr Architecture kArchitectures[] = {
    {"Cohere2ForCausalLM", "cohere2", cohere2::build},
    {"CohereForCausalLM", "command-r", cohere::build},
    {"DeepseekV3ForCausalLM", "deepseek2", deepseek_v3::build},
    {"DeepseekV2ForCausalLM", "deepseek2", deepseek_v2::build},
    {"FalconForCausalLM", "falcon", falcon::build},
    {"RWForCausalLM", "falcon", falcon::build},
    {"Gemma2ForCausalLM", "gemma2", gemma2::build},
    {"Gemma3ForCausalLM", "gemma3", gemma3::build},
    {"Gemma3ForConditionalGeneration", "gemma3", gemma3::build},
    {"Glm4ForCausalLM", "glm4", glm4::build},
    {"GlmForCausalLM", "chatglm", glm::build},
    {"GPT2LMHeadModel", "gpt2", gpt2::build},
    {"GPTNeoXForCausalLM", "gptneox", gpt_neox::build},
    {"GptOssForCausalLM", "gpt-oss", gpt_oss::build},
    {"GraniteForCausalLM", "granite", granite::build},
    {"GraniteMoeForCausalLM", "granitemoe", granite_moe::build},
    {"GraniteMoeSharedForCausalLM", "granitemoe", granite_moe::build},
    {"LlamaForCausalLM", "llama", llama::build},
    {"MistralForCausalLM", "mistral", mistral::build},
    {"MixtralForCausalLM", "mixtral", mixtral::build},
    {"NemotronForCausalLM", "nemotron", nemotron::build},
    {"Olmo2ForCausalLM", "olmo2", olmo2::build},
    {"OlmoeForCausalLM", "olmoe", olmoe::build},
    {"Phi3ForCausalLM", "phi3", phi3::build},
    {"PhiForCausalLM", "phi2", phi::build},
    {"Qwen2ForCausalLM", "qwen2", qwen2::build},
    {"Qwen2MoeForCausalLM", "qwen2moe", qwen2_moe::build},
    {"Qwen3ForCausalLM", "qwen3", qwen3::build},
    {"Qwen3MoeForCausalLM", "qwen3moe", qwen3_moe::build},
    {"SmolLM3ForCausalLM", "smollm3", smollm3::build},
    {"StableLmForCausalLM", "stablelm", stablelm::build},
    {"StableLMEpochForCausalLM", "stablelm", stablelm::build},
    {"Starcoder2ForCausalLM", "starcoder2", starcoder2::build},
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
