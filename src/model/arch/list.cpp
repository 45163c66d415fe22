#include <algorithm>
#include <string>

#include "model/arch/architecture.h"
#include "model/arch/models.h"

namespace strata {
namespace {

// Of lines with one GGUF name the first reads GGUF files.
constexpr Architecture kArchitectures[] = {
    {"BertForMaskedLM", "bert", bert::build},
    {"BertForSequenceClassification", "bert", bert::build},
    {"BertModel", "bert", bert::build},
    {"CamembertForSequenceClassification", "", roberta::build},
    {"CamembertModel", "", roberta::build},
    {"Cohere2ForCausalLM", "cohere2", cohere2::build},
    {"CohereForCausalLM", "command-r", cohere::build},
    {"DeepseekV3ForCausalLM", "deepseek2", deepseek_v3::build},
    {"DeepseekV2ForCausalLM", "deepseek2", deepseek_v2::build},
    {"DistilBertForMaskedLM", "", distilbert::build},
    {"DistilBertForSequenceClassification", "", distilbert::build},
    {"DistilBertModel", "", distilbert::build},
    {"FalconForCausalLM", "falcon", falcon::build},
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
    {"LlamaModel", "", llama::build, true},
    {"MistralForCausalLM", "mistral", mistral::build},
    {"MistralModel", "", mistral::build, true},
    {"MixtralForCausalLM", "mixtral", mixtral::build},
    {"ModernBertForMaskedLM", "modern-bert", modernbert::build},
    {"ModernBertForSequenceClassification", "modern-bert", modernbert::build},
    {"ModernBertModel", "modern-bert", modernbert::build},
    {"NemotronForCausalLM", "nemotron", nemotron::build},
    {"NomicBertForMaskedLM", "nomic-bert", nomic_bert::build},
    {"NomicBertForPreTraining", "nomic-bert", nomic_bert::build},
    {"NomicBertForSequenceClassification", "nomic-bert", nomic_bert::build},
    {"NomicBertModel", "nomic-bert", nomic_bert::build},
    {"Olmo2ForCausalLM", "olmo2", olmo2::build},
    {"OlmoeForCausalLM", "olmoe", olmoe::build},
    {"Phi3ForCausalLM", "phi3", phi3::build},
    {"PhiForCausalLM", "phi2", phi::build},
    {"Qwen2ForCausalLM", "qwen2", qwen2::build},
    {"Qwen2Model", "", qwen2::build, true},
    {"Qwen2MoeForCausalLM", "qwen2moe", qwen2_moe::build},
    {"Qwen3ForCausalLM", "qwen3", qwen3::build},
    {"Qwen3Model", "", qwen3::build, true},
    {"Qwen3MoeForCausalLM", "qwen3moe", qwen3_moe::build},
    {"RobertaForMaskedLM", "", roberta::build},
    {"RobertaForSequenceClassification", "", roberta::build},
    {"RobertaModel", "", roberta::build},
    {"RWForCausalLM", "falcon", falcon::build},
    {"SmolLM3ForCausalLM", "smollm3", smollm3::build},
    {"StableLmForCausalLM", "stablelm", stablelm::build},
    {"StableLMEpochForCausalLM", "stablelm", stablelm::build},
    {"Starcoder2ForCausalLM", "starcoder2", starcoder2::build},
    {"XLMRobertaForMaskedLM", "", roberta::build},
    {"XLMRobertaForSequenceClassification", "", roberta::build},
    {"XLMRobertaModel", "", roberta::build},
};

std::string known_names(bool gguf) {
  std::string names;
  std::string_view last;
  for (const Architecture& a : kArchitectures) {
    const std::string_view name = gguf ? a.gguf_name : a.name;
    if (!name.empty() && name != last) names += (names.empty() ? "" : ", ") + std::string(name);
    last = name;
  }
  return names;
}

// What the files say about embeddings goes before what the architecture says.
Status add_embedding_defaults(const Checkpoint& checkpoint, ModelConfig& config) {
  ASSIGN_OR_RETURN(const EmbeddingDefaults defaults, read_embedding_defaults(checkpoint));
  config.pooling = defaults.pooling.value_or(config.pooling);
  config.normalize = defaults.normalize.value_or(config.normalize);
  config.max_input = std::min(defaults.max_tokens.value_or(config.max_context), config.max_context);
  config.embedding_dim = config.hidden;
  config.may_shorten = checkpoint.config().get_bool("is_matryoshka").value_or(true);
  config.short_dims = checkpoint.config().get_ints("matryoshka_dimensions").value_or(std::vector<int64_t>());
  RETURN_IF_ERROR(checkpoint.config().status());
  return ok_status();
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
    if (wanted.empty() || (gguf ? architecture.gguf_name : architecture.name) != wanted) continue;
    Result<BuiltModel> built = architecture.build(checkpoint);
    if (!built.ok()) return built.status().with_context(checkpoint.path().string());
    if (architecture.headless) built->config.kind = ModelKind::kEmbeds;
    RETURN_IF_ERROR(add_embedding_defaults(checkpoint, built->config));
    built->config.architecture = architecture.name;
    return built;
  }
  return invalid_argument(checkpoint.path().string() + ": unknown architecture \"" + wanted +
                          "\" (known: " + known_names(gguf) + ")");
}

}  // namespace strata
