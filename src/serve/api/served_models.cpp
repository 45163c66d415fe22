#include <algorithm>

#include "serve/api/endpoints.h"

namespace strata::api {
namespace {

bool has_name(const ServedModel& model, const std::string& name) {
  const auto& names = model.host.names;
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string text_of(const Tokenizer& tokenizer, std::optional<TokenId> token) {
  return token ? std::string(tokenizer.piece(*token, true)) : std::string();
}

}  // namespace

int ServedModel::max_tokens() const {
  return host.engine != nullptr ? host.engine->max_request_tokens() : host.embedding_engine->limits().max_text_tokens;
}

std::string ServedModel::endpoints_text() const {
  std::string text;
  const auto add = [&](bool can, const char* endpoint) {
    if (can) text += (text.empty() ? "" : ", ") + std::string(endpoint);
  };
  add(generates(), "/v1/chat/completions, /v1/completions");
  add(embeds(), "/v1/embeddings");
  add(ranks(), "/v1/rerank");
  return text.empty() ? "nothing served here" : text;
}

Status ServedModels::add(ModelHost host) {
  if (host.names.empty() || (host.engine == nullptr && host.embedding_engine == nullptr) || host.tokenizer == nullptr) {
    return invalid_argument("a served model needs a name, an engine and a tokenizer");
  }
  ServedModel model;
  const Tokenizer& tokenizer = *host.tokenizer;
  for (TokenId id = 0; id < tokenizer.vocab_size(); ++id) {
    model.longest_token_bytes = std::max(model.longest_token_bytes, tokenizer.piece(id, true).size());
  }
  model.bos_text = text_of(tokenizer, tokenizer.bos());
  model.eos_text = text_of(tokenizer, tokenizer.eos());
  if (host.chat_template != nullptr) model.chat_form = ChatForm::of(*host.chat_template);
  model.host = std::move(host);
  const std::lock_guard lock(mutex_);
  for (const std::string& name : model.host.names) {
    for (const ServedModel& other : models_) {
      if (has_name(other, name)) return invalid_argument("two models are named '" + name + "' (rename one)");
    }
    if (adapters_.contains(name)) return invalid_argument("an adapter is named '" + name + "' (rename one)");
  }
  for (const NamedAdapter& adapter : model.host.adapters) {
    if (has_name(model, adapter.name) || has_model_locked(adapter.name) || adapters_.contains(adapter.name))
      return invalid_argument("the name of adapter '" + adapter.name + "' is taken (give --adapter another NAME)");
  }
  models_.push_back(std::move(model));
  const ServedModel& added = models_.back();
  for (const NamedAdapter& adapter : added.host.adapters) adapters_.emplace(adapter.name, Adapter{&added, adapter});
  return ok_status();
}

Result<const ServedModel*> ServedModels::find_locked(const std::string& name) const {
  if (models_.empty()) return unavailable("no model is loaded yet");
  if (name.empty()) {
    if (models_.size() == 1) return &models_.front();
    return invalid_argument("model is missing and several are served", "model");
  }
  std::string known;
  for (const ServedModel& model : models_) {
    if (has_name(model, name)) return &model;
    known += (known.empty() ? "" : ", ") + model.host.names.front();
  }
  for (const auto& [adapter, entry] : adapters_) known += ", " + adapter;
  return Status(Code::kNotFound, "there is no model '" + name.substr(0, 200) + "' (served: " + known + ")", "model");
}

Result<const ServedModel*> ServedModels::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  if (!name.empty() && adapters_.contains(name)) {
    return invalid_argument("'" + name + "' is an adapter, which only generates (give the model '" +
                                adapters_.at(name).model->host.names.front() + "')",
                            "model");
  }
  return find_locked(name);
}

Result<Chosen> ServedModels::choose(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  if (const auto adapter = adapters_.find(name); adapter != adapters_.end())
    return Chosen{adapter->second.model, adapter->second.named.weights};
  ASSIGN_OR_RETURN(const ServedModel* model, find_locked(name));
  return Chosen{model, nullptr};
}

bool ServedModels::has_model_locked(const std::string& name) const {
  return std::any_of(models_.begin(), models_.end(), [&](const ServedModel& model) { return has_name(model, name); });
}

Status ServedModels::check_new_adapter_locked(const ServedModel& model, const std::string& name, bool in_place) const {
  if (!model.host.load_adapter) {
    return invalid_argument("model '" + model.host.names.front() +
                            "' takes no adapters while it is served (start the server with --max-adapters N)");
  }
  if (has_model_locked(name)) return invalid_argument("a model is named '" + name + "' (rename the adapter)", "lora_name");
  const auto known = adapters_.find(name);
  if (known != adapters_.end() && (!in_place || known->second.model != &model)) {
    return invalid_argument("the lora adapter '" + name + "' has already been loaded (unload it, or set load_inplace)",
                            "lora_name");
  }
  size_t count = known == adapters_.end() ? 1 : 0;
  for (const auto& [other, entry] : adapters_) count += entry.model == &model ? 1 : 0;
  if (count <= model.host.max_adapters) return ok_status();
  return invalid_argument("there are " + std::to_string(count - 1) +
                          " adapters already, which is the most that --max-adapters allows (unload one)");
}

Status ServedModels::check_new_adapter(const ServedModel& model, const std::string& name, bool in_place) const {
  const std::lock_guard lock(mutex_);
  return check_new_adapter_locked(model, name, in_place);
}

Status ServedModels::add_adapter(const ServedModel& model, NamedAdapter adapter, bool in_place) {
  const std::lock_guard lock(mutex_);
  RETURN_IF_ERROR(check_new_adapter_locked(model, adapter.name, in_place));
  std::string name = adapter.name;
  adapters_.insert_or_assign(std::move(name), Adapter{&model, std::move(adapter)});
  return ok_status();
}

Status ServedModels::remove_adapter(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (adapters_.erase(name) > 0) return ok_status();
  return Status(Code::kNotFound, "the lora adapter '" + name.substr(0, 200) + "' cannot be found", "lora_name");
}

std::vector<NamedAdapter> ServedModels::adapters(const ServedModel& model) const {
  std::vector<NamedAdapter> found;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : adapters_) {
    if (entry.model == &model) found.push_back(entry.named);
  }
  return found;
}

std::vector<const ServedModel*> ServedModels::all() const {
  std::vector<const ServedModel*> found;
  const std::lock_guard lock(mutex_);
  for (const ServedModel& model : models_) found.push_back(&model);
  return found;
}

}  // namespace strata::api
