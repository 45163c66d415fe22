#include "learn/train/run_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/machine_memory.h"
#include "base/read_file.h"
#include "learn/train/chosen_layers.h"
#include "learn/train/gguf_parameters.h"
#include "learn/train/new_model.h"
#include "learn/train/unknown_key.h"
#include "model/checkpoint_weights.h"
#include "model/format/gguf_architectures.h"
#include "model/format/published_weights.h"
#include "model/text/chat_template_source.h"
#include "model/text/load_tokenizer.h"
#include "model/width.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Files beside the weights that make a folder complete.
constexpr const char* kCopied[] = {
    "tokenizer.json", "tokenizer_config.json",  "special_tokens_map.json", "tokenizer.model",   "vocab.json",
    "merges.txt",     "generation_config.json", "chat_template.jinja",     "chat_template.json"};

Status copy_files(const fs::path& from, const RunFolder& folder) {
  for (const char* name : kCopied) {
    std::error_code error;
    if (!fs::exists(from / name, error) || folder.has(name)) continue;
    ASSIGN_OR_RETURN(const std::string text, read_file(from / name));
    RETURN_IF_ERROR(write_text(folder.file(name), text));
  }
  return ok_status();
}

// Those that a GGUF file has in it.
Status write_files(const Checkpoint& gguf, const RunFolder& folder) {
  const PublishedText text = published_text(gguf);
  const std::pair<const char*, const std::string&> files[] = {{"tokenizer_config.json", text.tokenizer_config},
                                                              {"chat_template.jinja", text.chat_template},
                                                              {"tokenizer.json", text.tokenizer_json}};
  for (const auto& [name, contents] : files) {
    if (!contents.empty() && !folder.has(name)) RETURN_IF_ERROR(write_text(folder.file(name), contents));
  }
  return ok_status();
}

Result<std::unique_ptr<Tokenizer>> prepare_tokenizer(const Recipe& recipe, const Corpus& corpus,
                                                     const RunFolder& folder, ThreadPool& pool,
                                                     const OnShareDone& on_tokenizer) {
  if (recipe.new_tokenizer) {
    if (!folder.has("tokenizer.json")) {
      ASSIGN_OR_RETURN(const TrainedTokenizer trained, train_tokenizer(corpus, *recipe.new_tokenizer, pool, on_tokenizer));
      RETURN_IF_ERROR(write_text(folder.file("tokenizer_config.json"), trained.tokenizer_config));
      RETURN_IF_ERROR(write_text(folder.file("tokenizer.json"), trained.tokenizer_json));
    }
    return tokenizer_from_folder(folder.path());
  }
  if (!recipe.base.empty()) {
    ASSIGN_OR_RETURN(const Checkpoint base, Checkpoint::open(recipe.base));
    if (!recipe.lora)
      RETURN_IF_ERROR(base.gguf() == nullptr ? copy_files(recipe.base, folder) : write_files(base, folder));
    return load_tokenizer(base);
  }
  RETURN_IF_ERROR(copy_files(recipe.tokenizer, folder));
  return tokenizer_from_folder(recipe.tokenizer);
}

Status write_chat_template(const Recipe& recipe, const RunFolder& folder) {
  if (recipe.chat_template.empty()) return ok_status();
  return write_text(folder.file("chat_template.jinja"), recipe.chat_template);
}

// That of the recipe, else what comes with the tokenizer.
Result<std::optional<std::string>> template_source(const Recipe& recipe, const RunFolder& folder) {
  if (!recipe.chat_template.empty()) return std::optional<std::string>(recipe.chat_template);
  if (recipe.base.empty()) return chat_template_source(folder.path());
  ASSIGN_OR_RETURN(const Checkpoint base, Checkpoint::open(recipe.base));
  return chat_template_source(base);
}

Result<std::optional<ChatTemplate>> read_chat_template(const Recipe& recipe, const RunFolder& folder) {
  ASSIGN_OR_RETURN(const std::optional<std::string> source, template_source(recipe, folder));
  if (!source) return std::optional<ChatTemplate>();
  Result<ChatTemplate> parsed = ChatTemplate::parse(*source);
  if (!parsed.ok()) return parsed.status().with_context("tokenizer.chat_template");
  return std::optional<ChatTemplate>(*std::move(parsed));
}

std::string published_type(std::string_view architecture) {
  const GgufArchitecture* entry =
      find_gguf_architecture([&](const GgufArchitecture& a) { return a.published == architecture; });
  return entry == nullptr ? "" : std::string(entry->model_type);
}

Status too_small(int64_t model, int64_t tokenizer) {
  return invalid_argument("the tokenizer has " + std::to_string(tokenizer) +
                          " tokens, the model's vocab_size is only " + std::to_string(model));
}

// config.json of a new model: the recipe's fields, and what follows from the tokenizer and the run.
Result<json> new_config(const Recipe& recipe, const Tokenizer& tokenizer) {
  json config = json::parse(recipe.config_json);
  const int64_t tokens = tokenizer.vocab_size();
  if (!config.contains("vocab_size")) config["vocab_size"] = tokens;
  if (config["vocab_size"].is_number_integer() && config["vocab_size"].get<int64_t>() < tokens)
    return too_small(config["vocab_size"].get<int64_t>(), tokens);
  if (!config.contains("max_position_embeddings")) config["max_position_embeddings"] = recipe.context;
  if (const auto begin = tokenizer.bos()) config["bos_token_id"] = *begin;
  if (const auto end = tokenizer.eos()) config["eos_token_id"] = *end;
  if (!config.contains("model_type"))
    config["model_type"] = published_type(config["architectures"][0].get<std::string>());
  config["torch_dtype"] = "float32";
  return config;
}

// Every key of the recipe's model section is one that the architecture has read.
Status check_keys(const Recipe& recipe, const ConfigView& config) {
  std::vector<std::string> known = config.asked();
  for (const char* also : {"architecture", "initializer_range", "model_type"}) known.emplace_back(also);
  const json given = json::parse(recipe.config_json);
  for (const auto& [key, value] : given.items()) {
    if (key != "architectures" && std::find(known.begin(), known.end(), key) == known.end())
      return unknown_key("model", key, known);
  }
  return ok_status();
}

// A fault of the recipe's model section, said once.
Status with_section(const Status& status) {
  return status.message().starts_with("model: ") ? status : status.with_context("model");
}

// Weights, gradients and what the optimizer remembers are in memory, whatever a recipe says of the rest.
Status check_size(const Graph& graph, const Recipe& recipe) {
  std::map<std::string, double> size_of;  // by tensor: several weights may be slices of it
  for (const Node& node : graph.nodes()) {
    for (const WeightPart& part : node.weight.parts) {
      double& size = size_of[part.tensor];
      size = std::max(size, static_cast<double>(part.row_end) * static_cast<double>(part.col_end));
    }
  }
  double numbers = 0;
  for (const auto& [tensor, size] : size_of) numbers += size;
  const double needed = numbers * sizeof(float) * (2 + memory_of(recipe.optimizer.kind));
  const auto there = static_cast<double>(machine_memory());
  if (needed <= there) return ok_status();
  return invalid_argument(
      fmt::format("model: {:.3g} parameters take {:.3g} bytes with their gradients and the optimizer's memory, the "
                  "machine has {:.3g} (give smaller sizes)",
                  numbers, needed, there));
}

// The narrower models inside: those that the recipe of a base asks for, else those of its configuration.
Status set_widths(const Recipe& recipe, const Parameters& parameters, json& config, BuiltModel& built) {
  if (!recipe.widths.empty()) config["widths"] = recipe.widths;
  const ConfigView view(config, "config.json");
  ASSIGN_OR_RETURN(built.config.widths, NestedWidths::from(view));
  std::vector<WantedTensor> shapes;
  for (const Parameter& parameter : parameters.all()) shapes.push_back({parameter.name, parameter.shape});
  return check_widths(built, view, shapes);
}

Result<RunModel> new_model(const Recipe& recipe, std::unique_ptr<Tokenizer> tokenizer) {
  ASSIGN_OR_RETURN(json config, new_config(recipe, *tokenizer));
  const ConfigView view(config, "model");
  Result<BuiltModel> built = build_new_model(view);
  const bool is_known = built.ok() || built.status().param() != "architectures";
  if (is_known) RETURN_IF_ERROR(check_keys(recipe, view));  // a misspelled key before the field it leaves out
  if (!built.ok()) return with_section(built.status());
  RETURN_IF_ERROR(check_size(built->graph, recipe));
  Parameters parameters = make_parameters(*built, {recipe.seed, recipe.initial_deviation});
  if (const Status widths = set_widths(recipe, parameters, config, *built); !widths.ok()) return with_section(widths);
  return RunModel{*std::move(built), std::move(parameters), std::move(tokenizer), config.dump(2) + "\n"};
}

json trained_config(json config) {
  config.erase("quantization_config");
  config.erase("compression_config");
  config["torch_dtype"] = "float32";
  return config;
}

// Some layers of a model whose weights `weights` gives.
Result<RunModel> model_of_layers(const Recipe& recipe, const json& all, const WeightSource& weights,
                                 std::unique_ptr<Tokenizer> tokenizer) {
  ASSIGN_OR_RETURN(json config, config_of_layers(all, recipe.layers));
  Result<BuiltModel> built = build_new_model(ConfigView(config, "config.json"));
  if (!built.ok()) return built.status().with_context("model.layers");
  ASSIGN_OR_RETURN(Parameters parameters, Parameters::copy(built->graph, ChosenLayers(weights, recipe.layers)));
  RETURN_IF_ERROR(set_widths(recipe, parameters, config, *built));
  return RunModel{*std::move(built), std::move(parameters), std::move(tokenizer), config.dump(2) + "\n"};
}

Status check_known(const BuiltModel& built, const Tokenizer& tokenizer, const fs::path& base) {
  if (!built.graph.find_output("logits").valid())
    return invalid_argument(base.string() + ": this model gives no logits: it cannot be trained on text");
  if (tokenizer.vocab_size() > built.config.vocab) return too_small(built.config.vocab, tokenizer.vocab_size());
  return ok_status();
}

Result<RunModel> adapted_model(const Recipe& recipe, std::unique_ptr<Tokenizer> tokenizer) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(recipe.base));
  auto base = std::make_unique<FrozenBase>(std::move(checkpoint));
  ASSIGN_OR_RETURN(BuiltModel built, build_model(base->checkpoint));
  RETURN_IF_ERROR(check_known(built, *tokenizer, recipe.base));
  ASSIGN_OR_RETURN(AdaptedModel adapted, adapt_model(built.graph, base->checkpoint, *recipe.lora, recipe.seed));
  built.graph = std::move(adapted.graph);
  return RunModel{std::move(built), std::move(adapted.parameters), std::move(tokenizer), "",
                  std::move(base),  std::move(adapted.adapters)};
}

// All weights of a GGUF file as parameters, as the folder has them that it could have been made of.
Result<RunModel> gguf_model(const Recipe& recipe, const Checkpoint& checkpoint, std::unique_ptr<Tokenizer> tokenizer) {
  ASSIGN_OR_RETURN(json config, published_config(checkpoint));
  config = trained_config(std::move(config));
  Result<BuiltModel> built = build_new_model(ConfigView(config, recipe.base.string()));
  if (!built.ok()) return built.status().with_context(recipe.base.string());
  RETURN_IF_ERROR(check_known(*built, *tokenizer, recipe.base));
  RETURN_IF_ERROR(check_size(built->graph, recipe));
  ASSIGN_OR_RETURN(Parameters parameters, gguf_parameters(checkpoint, config, *built));
  if (!recipe.layers.empty()) return model_of_layers(recipe, config, parameters, std::move(tokenizer));
  RETURN_IF_ERROR(set_widths(recipe, parameters, config, *built));
  return RunModel{*std::move(built), std::move(parameters), std::move(tokenizer), config.dump(2) + "\n"};
}

Result<RunModel> known_model(const Recipe& recipe, std::unique_ptr<Tokenizer> tokenizer) {
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(recipe.base));
  if (recipe.width > 0) {
    ASSIGN_OR_RETURN(checkpoint, checkpoint_at_width(std::move(checkpoint), recipe.width));
  }
  if (checkpoint.gguf() != nullptr) {
    ASSIGN_OR_RETURN(RunModel model, gguf_model(recipe, checkpoint, std::move(tokenizer)));
    model.gguf = std::make_unique<Checkpoint>(std::move(checkpoint));
    return model;
  }
  json config = trained_config(checkpoint.config().json());
  if (!recipe.layers.empty())
    return model_of_layers(recipe, config, CheckpointWeights(checkpoint), std::move(tokenizer));
  ASSIGN_OR_RETURN(BuiltModel built, build_model(checkpoint));
  RETURN_IF_ERROR(check_known(built, *tokenizer, recipe.base));
  RETURN_IF_ERROR(check_size(built.graph, recipe));
  ASSIGN_OR_RETURN(Parameters parameters, Parameters::copy(built.graph, CheckpointWeights(checkpoint)));
  RETURN_IF_ERROR(set_widths(recipe, parameters, config, built));
  return RunModel{std::move(built), std::move(parameters), std::move(tokenizer), config.dump(2) + "\n"};
}

}  // namespace

Result<RunModel> prepare_model(const Recipe& recipe, const Corpus& corpus, const RunFolder& folder, ThreadPool& pool,
                               const OnShareDone& on_tokenizer) {
  if (recipe.lora && !recipe.layers.empty())
    return invalid_argument(
        "model.layers: an adapter is trained for all layers of its base (leave out layers, or lora)");
  if (recipe.lora && (recipe.width > 0 || !recipe.widths.empty())) {
    return invalid_argument(
        "model.width, model.widths: an adapter is trained for its base as it is (leave out widths, or lora)");
  }
  RETURN_IF_ERROR(write_chat_template(recipe, folder));
  ASSIGN_OR_RETURN(std::unique_ptr<Tokenizer> tokenizer, prepare_tokenizer(recipe, corpus, folder, pool, on_tokenizer));
  ASSIGN_OR_RETURN(std::optional<ChatTemplate> chat_template, read_chat_template(recipe, folder));
  const auto make = recipe.base.empty() ? new_model : recipe.lora ? adapted_model : known_model;
  Result<RunModel> model = make(recipe, std::move(tokenizer));
  if (model.ok() && model->built.config.max_context < recipe.context) {
    return invalid_argument("run.context: " + std::to_string(recipe.context) + " tokens, the model takes " +
                            std::to_string(model->built.config.max_context));
  }
  if (model.ok()) model->chat_template = std::move(chat_template);
  return model;
}

}  // namespace strata
