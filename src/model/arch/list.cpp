#include <algorithm>
#include <string>

#include "model/arch/architecture.h"
#include "model/arch/models.h"

namespace strata {
namespace {

constexpr Architecture kArchitectures[] = {
    {"BertForMaskedLM", bert::build},
    {"BertForSequenceClassification", bert::build},
    {"BertModel", bert::build},
    {"CamembertForSequenceClassification", roberta::build},
    {"CamembertModel", roberta::build},
    {"Cohere2ForCausalLM", cohere2::build},
    {"CohereForCausalLM", cohere::build},
    {"DeepseekV3ForCausalLM", deepseek_v3::build},
    {"DeepseekV2ForCausalLM", deepseek_v2::build},
    {"DistilBertForMaskedLM", distilbert::build},
    {"DistilBertForSequenceClassification", distilbert::build},
    {"DistilBertModel", distilbert::build},
    {"FalconForCausalLM", falcon::build},
    {"Gemma2ForCausalLM", gemma2::build},
    {"Gemma3ForCausalLM", gemma3::build},
    {"Gemma3ForConditionalGeneration", gemma3::build},
    {"Glm4ForCausalLM", glm4::build},
    {"GlmForCausalLM", glm::build},
    {"GPT2LMHeadModel", gpt2::build, false, "transformer.wte.weight"},
    {"GPTNeoXForCausalLM", gpt_neox::build, false, "embed_out.weight"},
    {"GptOssForCausalLM", gpt_oss::build},
    {"GraniteForCausalLM", granite::build},
    {"GraniteMoeForCausalLM", granite_moe::build},
    {"GraniteMoeSharedForCausalLM", granite_moe::build},
    {"LlamaForCausalLM", llama::build},
    {"LlamaModel", llama::build, true},
    {"MistralForCausalLM", mistral::build},
    {"MistralModel", mistral::build, true},
    {"MixtralForCausalLM", mixtral::build, false, "model.layers.0.block_sparse_moe.gate.weight"},
    {"ModernBertForMaskedLM", modernbert::build},
    {"ModernBertForSequenceClassification", modernbert::build},
    {"ModernBertModel", modernbert::build},
    {"NemotronForCausalLM", nemotron::build},
    {"NomicBertForMaskedLM", nomic_bert::build},
    {"NomicBertForPreTraining", nomic_bert::build},
    {"NomicBertForSequenceClassification", nomic_bert::build},
    {"NomicBertModel", nomic_bert::build},
    {"Olmo2ForCausalLM", olmo2::build},
    {"OlmoeForCausalLM", olmoe::build},
    {"Phi3ForCausalLM", phi3::build},
    {"PhiForCausalLM", phi::build},
    {"Qwen2ForCausalLM", qwen2::build},
    {"Qwen2Model", qwen2::build, true},
    {"Qwen2MoeForCausalLM", qwen2_moe::build},
    {"Qwen3ForCausalLM", qwen3::build},
    {"Qwen3Model", qwen3::build, true},
    {"Qwen3MoeForCausalLM", qwen3_moe::build},
    {"RobertaForMaskedLM", roberta::build},
    {"RobertaForSequenceClassification", roberta::build},
    {"RobertaModel", roberta::build},
    {"RWForCausalLM", falcon::build},
    {"SmolLM3ForCausalLM", smollm3::build},
    {"StableLmForCausalLM", stablelm::build},
    {"StableLMEpochForCausalLM", stablelm::build},
    {"Starcoder2ForCausalLM", starcoder2::build},
    {"XLMRobertaForMaskedLM", roberta::build},
    {"XLMRobertaForSequenceClassification", roberta::build},
    {"XLMRobertaModel", roberta::build},
};

std::string known_names() {
  std::string names;
  for (const Architecture& a : kArchitectures) names += (names.empty() ? "" : ", ") + std::string(a.name);
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

namespace {

Result<const Architecture*> architecture_of(const ConfigView& config) {
  std::string wanted = config.get_string("gguf_architecture").value_or("");  // where nothing is published
  if (const auto names = config.get_strings("architectures"); names && !names->empty()) wanted = names->front();
  for (const Architecture& architecture : kArchitectures) {
    if (architecture.name == wanted) return &architecture;
  }
  return invalid_argument("unknown architecture \"" + wanted + "\" (known: " + known_names() + ")", "architectures");
}

}  // namespace

Result<BuiltModel> build_model(const Checkpoint& checkpoint) {
  const Result<const Architecture*> found = architecture_of(checkpoint.config());
  if (!found.ok()) return found.status().with_context(checkpoint.path().string());
  const Architecture& architecture = **found;
  Result<NestedWidths> widths = NestedWidths::from(checkpoint.config());
  if (!widths.ok()) return widths.status().with_context(checkpoint.path().string());
  Result<BuiltModel> built = architecture.build(checkpoint);
  if (!built.ok()) return built.status().with_context(checkpoint.path().string());
  if (architecture.headless) built->config.kind = ModelKind::kEmbeds;
  RETURN_IF_ERROR(add_embedding_defaults(checkpoint, built->config));
  built->config.architecture = architecture.name;
  built->config.widths = *std::move(widths);
  return built;
}

Result<BuiltModel> build_new_model(const ConfigView& config) {
  ASSIGN_OR_RETURN(const Architecture* architecture, architecture_of(config));
  Result<NestedWidths> widths = NestedWidths::from(config);
  std::vector<std::string> published;
  if (!config.get_bool("tie_word_embeddings").value_or(false)) published.emplace_back("lm_head.weight");
  if (!architecture->published.empty()) published.emplace_back(architecture->published);
  Result<BuiltModel> built = architecture->build(Checkpoint::blank(config, published));
  if (!built.ok()) return built.status();
  if (architecture->headless || !built->graph.find_output("logits").valid())
    return invalid_argument(std::string(architecture->name) + " gives no logits: it cannot be trained on text");
  RETURN_IF_ERROR(widths.status());
  built->config.architecture = architecture->name;
  built->config.widths = *std::move(widths);
  return built;
}

}  // namespace strata
