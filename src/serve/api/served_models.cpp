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
  }
  models_.push_back(std::move(model));
  return ok_status();
}

Result<const ServedModel*> ServedModels::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
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
  return Status(Code::kNotFound, "there is no model '" + name.substr(0, 200) + "' (served: " + known + ")", "model");
}

std::vector<const ServedModel*> ServedModels::all() const {
  std::vector<const ServedModel*> found;
  const std::lock_guard lock(mutex_);
  for (const ServedModel& model : models_) found.push_back(&model);
  return found;
}

}  // namespace strata::api
