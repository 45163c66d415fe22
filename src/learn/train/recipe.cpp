#include "learn/train/recipe.h"

#include <simdjson.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <vector>

#include "base/read_file.h"
#include "learn/train/unknown_key.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

Status twice(const std::string& section, const std::string& key) {
  return invalid_argument((section.empty() ? "" : section + ": ") + "the key \"" + key + "\" is given twice");
}

// One section: a map whose keys are read one by one; what is left over is an error.
class Section {
 public:
  Section(const YAML::Node& node, std::string name) : node_(node), name_(std::move(name)) {
    if (node_ && !node_.IsNull() && !node_.IsMap()) fail(name_ + ": expected keys with values");
  }

  template <class T>
  void read(const char* key, T& value) {
    known_.emplace_back(key);
    const YAML::Node field = at(key);
    if (!field) return;
    if (!field.IsScalar()) return fail(path(key) + ": expected one value");
    read_scalar(key, field.Scalar(), value);
  }
  void read_bounded(const char* key, int64_t& value, int64_t low, int64_t high = int64_t{1} << 40) {
    read(key, value);
    if (value < low || value > high) {
      fail(path(key) + ": expected " + std::to_string(low) + " to " + std::to_string(high) + ", got " +
           std::to_string(value));
    }
  }
  void read_bounded(const char* key, double& value, double low, double high) {
    read(key, value);
    if (value >= low && value <= high) return;
    std::ostringstream text;
    text << path(key) << ": expected " << low << " to " << high << ", got " << value;
    fail(text.str());
  }
  // One value or a list.
  void read_list(const char* key, std::vector<std::string>& values) {
    known_.emplace_back(key);
    const YAML::Node field = at(key);
    if (!field) return;
    if (field.IsScalar()) return values.push_back(field.Scalar());
    if (!field.IsSequence()) return fail(path(key) + ": expected a value or a list");
    for (const YAML::Node& item : field) {
      if (!item.IsScalar()) return fail(path(key) + ": expected a list of values");
      values.push_back(item.Scalar());
    }
  }
  void read_bounded_list(const char* key, std::vector<double>& values, double low, double high) {
    std::vector<std::string> texts;
    read_list(key, texts);
    for (const std::string& text : texts) {
      double value = low - 1;
      read_scalar(key, text, value);
      if (value < low || value > high) {
        fail(path(key) + ": expected numbers from " + std::to_string(low) + " to " + std::to_string(high) + ", got \"" +
             text + "\"");
      }
      values.push_back(value);
    }
  }
  void read_list(const char* key, std::vector<int64_t>& values) {
    std::vector<std::string> texts;
    read_list(key, texts);
    for (const std::string& text : texts) read_scalar(key, text, values.emplace_back());
  }
  // A name that is turned into something else.
  template <class T>
  void read_name(const char* key, T& value, Result<T> (*from_name)(std::string_view)) {
    std::string text;
    read(key, text);
    if (text.empty()) return;
    const Result<T> result = from_name(text);
    if (result.ok()) {
      value = *result;
    } else {
      fail(path(key) + ": " + result.status().message());
    }
  }

  bool has(const char* key) const { return static_cast<bool>(at(key)); }
  bool is_given() const { return node_ && node_.IsMap(); }
  const YAML::Node& node() const { return node_; }
  void fail(const std::string& why) {
    if (status_.ok()) status_ = invalid_argument(why);
  }
  std::string path(const char* key) const { return name_.empty() ? key : name_ + "." + key; }

  const Status& status() const { return status_; }
  Status check_known(std::vector<std::string> known) {
    known_ = std::move(known);
    return finish();
  }
  Status finish() {
    if (!is_given() || !status_.ok()) return status_;
    std::set<std::string> given;
    for (const auto& item : node_) {
      const std::string key = item.first.IsScalar() ? item.first.Scalar() : "";
      if (!given.insert(key).second) return twice(name_, key);
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      return unknown_key(name_, key, known_);
    }
    return ok_status();
  }

 private:
  YAML::Node at(const char* key) const {
    if (!is_given()) return YAML::Node(YAML::NodeType::Undefined);
    const YAML::Node& constant = node_;
    return constant[key];
  }
  void read_scalar(const char*, const std::string& text, std::string& value) { value = text; }
  void read_scalar(const char* key, const std::string& text, int64_t& value) {
    std::istringstream in(text);
    int64_t number = 0;
    if (in >> number && in.peek() == std::char_traits<char>::eof()) {
      value = number;
    } else {
      fail(path(key) + ": expected a whole number, got \"" + text + "\"");
    }
  }
  void read_scalar(const char* key, const std::string& text, double& value) {
    std::istringstream in(text);
    double number = 0;
    if (in >> number && in.peek() == std::char_traits<char>::eof() && std::isfinite(number)) {
      value = number;
    } else {
      fail(path(key) + ": expected a number, got \"" + text + "\"");
    }
  }

  YAML::Node node_;
  std::string name_;
  std::vector<std::string> known_;
  Status status_;
};

// The fields of a model as JSON. Bounded: a node of YAML may have itself as a part, or one part many times.
class FieldsToJson {
 public:
  Result<nlohmann::json> convert(const YAML::Node& node, int depth = 0) {
    if (depth > kMaxDepth || ++n_nodes_ > kMaxNodes)
      return invalid_argument("model: more nested or longer than any model's fields");
    if (node.IsMap()) return map(node, depth);
    if (node.IsSequence()) {
      nlohmann::json list = nlohmann::json::array();
      for (const YAML::Node& item : node) {
        ASSIGN_OR_RETURN(nlohmann::json value, convert(item, depth + 1));
        list.push_back(std::move(value));
      }
      return list;
    }
    if (node.IsNull()) return nlohmann::json();
    const std::string text = node.Scalar();
    if (node.Tag() == "!") return nlohmann::json(text);  // quoted
    if (text == "true" || text == "false") return nlohmann::json(text == "true");
    const nlohmann::json number = nlohmann::json::parse(text, nullptr, false);
    return number.is_number() ? number : nlohmann::json(text);
  }

 private:
  static constexpr int kMaxDepth = 16, kMaxNodes = 100'000;

  Result<nlohmann::json> map(const YAML::Node& node, int depth) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& item : node) {
      if (!item.first.IsScalar()) return invalid_argument("model: a key is no text");
      if (object.contains(item.first.Scalar())) return twice("model", item.first.Scalar());
      ASSIGN_OR_RETURN(object[item.first.Scalar()], convert(item.second, depth + 1));
    }
    return object;
  }

  int n_nodes_ = 0;
};

// A new model's fields go to its config.json as they are: each architecture has its own (new_config() checks them).
Status read_model(const YAML::Node& node, const fs::path& folder, Recipe& recipe) {
  Section section(node, "model");
  if (!section.is_given()) return invalid_argument("model: expected base, or architecture with its sizes");
  if (section.has("base")) {
    std::string base;
    section.read("base", base);
    recipe.base = folder / base;
    section.read_list("layers", recipe.layers);
    section.read_bounded("width", recipe.width, 0);
    section.read_list("widths", recipe.widths);
    return section.finish();
  }
  std::string architecture;
  section.read("architecture", architecture);
  if (architecture.empty())
    return invalid_argument("model: expected base, or architecture (e.g. LlamaForCausalLM) with its sizes");
  ASSIGN_OR_RETURN(nlohmann::json config, FieldsToJson().convert(section.node()));
  config.erase("architecture");
  config["architectures"] = {architecture};
  if (!config.contains("tie_word_embeddings")) config["tie_word_embeddings"] = true;
  section.read_bounded("initializer_range", recipe.initial_deviation, 0.0, 1e3);
  RETURN_IF_ERROR(section.status());
  config["initializer_range"] = recipe.initial_deviation;
  recipe.config_json = config.dump();
  return ok_status();
}

Status read_lora(const YAML::Node& node, Recipe& recipe) {
  Section section(node, "lora");
  if (!node) return ok_status();
  AdapterOptions options;
  section.read_bounded("rank", options.rank, 1, 4096);
  options.alpha = 2 * static_cast<double>(options.rank);
  section.read_bounded("alpha", options.alpha, 0.0, 1e6);
  std::vector<std::string> targets;
  section.read_list("targets", targets);
  if (!targets.empty()) options.targets = std::move(targets);
  if (recipe.base.empty()) section.fail("lora: an adapter wants a model to adapt (give model.base)");
  recipe.lora = std::move(options);
  return section.finish();
}

Result<TokenizerKind> tokenizer_kind(std::string_view name) {
  if (name == "bpe") return TokenizerKind::kBpe;
  if (name == "unigram") return TokenizerKind::kUnigram;
  return invalid_argument("no tokenizer named \"" + std::string(name) + "\" (known: bpe, unigram)");
}

Result<DecayRule> decay_rule(std::string_view name) {
  if (name == "matrices") return DecayRule::kMatrices;
  if (name == "all") return DecayRule::kAll;
  return invalid_argument("expected matrices or all, got \"" + std::string(name) + "\"");
}

Result<bool> skips_faults(std::string_view name) {
  if (name == "skip" || name == "fail") return name == "skip";
  return invalid_argument("expected skip or fail, got \"" + std::string(name) + "\"");
}

Status read_tokenizer(const YAML::Node& node, const fs::path& folder, Recipe& recipe) {
  Section section(node, "tokenizer");
  std::string path;
  TokenizerTraining training;
  section.read("path", path);
  section.read_name("kind", training.kind, tokenizer_kind);
  section.read_bounded("vocab", training.vocab, 1, 1 << 24);
  section.read("end_token", training.end_token);
  section.read("begin_token", training.begin_token);
  section.read_list("special_tokens", training.special_tokens);
  section.read("chat_template", recipe.chat_template);
  if (!path.empty() && (section.has("vocab") || section.has("kind")))
    section.fail("tokenizer: give path, or kind and vocab of a new one");
  if (section.is_given() && !recipe.base.empty()) section.fail("tokenizer: a model with a base has its own");
  if (training.end_token.empty()) section.fail("tokenizer.end_token: must not be empty");
  RETURN_IF_ERROR(section.finish());
  if (!path.empty()) recipe.tokenizer = folder / path;
  if (path.empty() && recipe.base.empty()) recipe.new_tokenizer = training;
  return ok_status();
}

Status read_data(const YAML::Node& node, const fs::path& folder, Recipe& recipe) {
  Section section(node, "data");
  if (!section.is_given()) return invalid_argument("data: expected a section with paths");
  std::vector<std::string> paths;
  section.read_list("paths", paths);
  for (const std::string& path : paths) recipe.corpus.paths.push_back(folder / path);
  section.read("field", recipe.corpus.field);
  std::string separator = recipe.corpus.separator.value_or("");
  section.read("separator", separator);
  recipe.corpus.separator = separator == "none" ? std::nullopt : std::optional(separator);
  section.read_name("bad_records", recipe.corpus.skips_faults, skips_faults);
  section.read_bounded("validation", recipe.held_out, 0.0, 0.5);
  section.read_bounded("block_bytes", recipe.corpus.block_bytes, 1024, 1 << 28);
  section.read_bounded("shuffle_blocks", recipe.group_blocks, 1, 4096);
  if (paths.empty()) section.fail("data.paths: expected files or folders");
  return section.finish();
}

Result<double> divergence_side(std::string_view name) {
  if (name == "forward") return 0.0;
  if (name == "reverse") return 1.0;
  if (name == "js") return 0.5;
  return invalid_argument("no divergence named \"" + std::string(name) + "\" (known: forward, reverse, js)");
}

void read_on_policy(Section& section, OnPolicyOptions& options) {
  section.read_bounded("on_policy", options.share, 0.0, 1.0);
  section.read_bounded("prompt_tokens", options.prompt_tokens, 1, 1 << 20);
  section.read_bounded("max_new_tokens", options.max_new_tokens, 1, 1 << 20);
  section.read_bounded("sample_temperature", options.temperature, 0.0, 100.0);
}

Status read_distillation(const YAML::Node& node, const fs::path& folder, Recipe& recipe) {
  Section section(node, "distill");
  if (!section.is_given()) return section.finish();
  DistillationOptions d;
  std::string teacher;
  section.read("teacher", teacher);
  section.read_bounded("temperature", d.temperature, 0.05, 100.0);
  section.read_bounded("weight", d.weight, 0.0, 1.0);
  section.read_bounded("top_k", d.top_k, 1, 256);
  section.read_name("divergence", d.beta, divergence_side);
  if (section.has("beta") && d.beta != 0.5) section.fail("distill.beta: is of the divergence js alone");
  section.read_bounded("beta", d.beta, 0.0, 1.0);
  read_on_policy(section, d.on_policy);
  section.read_bounded("layer_weight", d.layer_weight, 0.0, 1e6);
  std::vector<double> layers;  // student's, teacher's, student's, teacher's ...
  section.read_bounded_list("layers", layers, 0.0, 4095.0);
  if (layers.size() % 2 != 0) section.fail("distill.layers: expected pairs of layers: student's, teacher's");
  for (const double layer : layers) {
    if (layer != std::floor(layer)) section.fail("distill.layers: expected whole numbers");
  }
  for (size_t i = 0; i + 1 < layers.size(); i += 2)
    d.layers.emplace_back(static_cast<int64_t>(layers[i]), static_cast<int64_t>(layers[i + 1]));
  if (teacher.empty()) section.fail("distill.teacher: expected a folder or GGUF file");
  d.teacher = folder / teacher;
  recipe.distillation = d;
  return section.finish();
}

Status read_loss(const YAML::Node& node, Recipe& recipe) {
  Section section(node, "loss");
  section.read_bounded_list("exits", recipe.exit_weights, 0.0, 100.0);
  section.read_bounded_list("widths", recipe.width_weights, 0.0, 100.0);
  section.read_bounded("balance", recipe.balance, 0.0, 100.0);
  return section.finish();
}

Status read_optimizer(const YAML::Node& node, Recipe& recipe) {
  Section section(node, "optimizer");
  OptimizerOptions& o = recipe.optimizer;
  section.read_name("name", o.kind, optimizer_from_name);
  if (o.kind == OptimizerKind::kLion) o.beta2 = 0.99;
  section.read_bounded("beta1", o.beta1, 0.0, 0.999999);
  section.read_bounded("beta2", o.beta2, 0.0, 0.999999);
  section.read_bounded("epsilon", o.epsilon, 1e-20, 1.0);
  section.read_bounded("weight_decay", o.weight_decay, 0.0, 10.0);
  section.read_name("decays", o.decays, decay_rule);
  section.read_bounded("max_norm", recipe.max_norm, 0.0, 1e9);
  section.read_bounded("average", recipe.average_decay, 0.0, 0.999999);
  return section.finish();
}

Status read_schedule(const YAML::Node& node, Recipe& recipe) {
  Section section(node, "schedule");
  ScheduleOptions& s = recipe.schedule;
  section.read_name("name", s.kind, schedule_from_name);
  section.read_bounded("peak", s.peak, 0.0, 1e3);
  section.read_bounded("final_ratio", s.final_ratio, 0.0, 1.0);
  section.read_bounded("steps", s.steps, 1);
  section.read_bounded("warmup_steps", s.warmup_steps, 0);
  section.read_bounded("decay_steps", s.decay_steps, 0);
  if (s.warmup_steps > s.steps) section.fail("schedule.warmup_steps: more than schedule.steps");
  return section.finish();
}

Status read_run(const YAML::Node& node, const fs::path& folder, Recipe& recipe) {
  Section section(node, "run");
  int64_t seed = 0;
  section.read_bounded("seed", seed, 0);
  recipe.seed = static_cast<uint64_t>(seed);
  section.read_name("precision", recipe.precision, precision_from_name);
  section.read_bounded("context", recipe.context, 1, 1 << 20);
  section.read_bounded("batch_tokens", recipe.batch_tokens, 1, 1 << 28);
  recipe.micro_tokens = std::min(recipe.batch_tokens, recipe.micro_tokens);
  section.read_bounded("micro_tokens", recipe.micro_tokens, 1, 1 << 20);
  section.read_name("recompute", recipe.recompute, recompute_rule_from_name);
  section.read_bounded("checkpoint_every", recipe.checkpoint_every, 1);
  section.read_bounded("validate_every", recipe.validate_every, 1);
  section.read_bounded("validation_tokens", recipe.validation_tokens, 1, 1 << 28);
  RETURN_IF_ERROR(section.status());  // below, micro_tokens divides
  if (recipe.batch_tokens % recipe.micro_tokens != 0)
    section.fail("run.batch_tokens: " + std::to_string(recipe.batch_tokens) + " is no multiple of run.micro_tokens " +
                 std::to_string(recipe.micro_tokens));
  std::string beside;
  section.read("beside", beside);
  if (!beside.empty()) recipe.beside = folder / beside;
  return section.finish();
}

Status read_sections(const YAML::Node& root, const fs::path& folder, Recipe& recipe) {
  Section file(root, "");
  if (!file.is_given()) return invalid_argument("expected the sections model, data and run");
  RETURN_IF_ERROR(file.check_known(
      {"model", "lora", "tokenizer", "data", "distill", "loss", "optimizer", "schedule", "run"}));
  const YAML::Node& constant = root;
  RETURN_IF_ERROR(read_model(constant["model"], folder, recipe));
  RETURN_IF_ERROR(read_lora(constant["lora"], recipe));
  RETURN_IF_ERROR(read_tokenizer(constant["tokenizer"], folder, recipe));
  RETURN_IF_ERROR(read_data(constant["data"], folder, recipe));
  RETURN_IF_ERROR(read_distillation(constant["distill"], folder, recipe));
  RETURN_IF_ERROR(read_loss(constant["loss"], recipe));
  RETURN_IF_ERROR(read_optimizer(constant["optimizer"], recipe));
  RETURN_IF_ERROR(read_schedule(constant["schedule"], recipe));
  return read_run(constant["run"], folder, recipe);
}

}  // namespace

Result<Recipe> parse_recipe(const std::string& text, const fs::path& folder) {
  Recipe recipe;
  recipe.text = text;
  recipe.folder = folder;
  if (!simdjson::validate_utf8(text.data(), text.size())) return invalid_argument("not UTF-8 (is this a recipe?)");
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) return invalid_argument("has several documents of YAML (a recipe is one)");
    RETURN_IF_ERROR(read_sections(documents.empty() ? YAML::Node() : documents[0], folder, recipe));
  } catch (const YAML::Exception& error) {
    return invalid_argument(std::string("not YAML: ") + error.what());
  }
  return recipe;
}

Result<Recipe> read_recipe(const fs::path& path) {
  const Result<std::string> text = read_file(path);
  if (!text.ok())
    return not_found(text.status().message() + " (give a recipe: a YAML file, see docs/guides/training.md)");
  Result<Recipe> recipe = parse_recipe(*text, path.parent_path());
  if (!recipe.ok()) return recipe.status().with_context(path.string());
  return recipe;
}

}  // namespace strata
