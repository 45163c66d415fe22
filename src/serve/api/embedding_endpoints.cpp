// The endpoints that make vectors and scores of texts. Each one: read the body, find the model, make token ids, hand
// over to an EmbeddingJob.
#include <algorithm>

#include "serve/api/embedding_job.h"
#include "serve/api/embedding_requests.h"
#include "serve/api/endpoints.h"
#include "serve/api/generation_params.h"

namespace strata::api {
namespace {

std::string name_of(const ServedModel& model, const std::string& asked) {
  return asked.empty() ? model.host.names.front() : asked;
}

// Tokens that a text may have; more are cut when the client says so, else refused by the engine with both numbers.
struct Cut {
  int most = 0;
  bool wanted = false;
};

Result<Cut> read_cut(const ServedModel& model, const std::optional<int>& truncate) {
  const int most = model.host.embedding_engine->limits().max_text_tokens;
  if (!truncate) return Cut{most, false};
  if (*truncate > most) {
    return invalid_argument(
        "truncate_prompt_tokens is " + std::to_string(*truncate) + ", the model takes at most " + std::to_string(most),
        "truncate_prompt_tokens");
  }
  return Cut{*truncate < 0 ? most : *truncate, true};
}

TextInput to_input(const ServedModel& model, FramedTokens framed) {
  TextInput input;
  input.ids = std::move(framed.ids);
  if (model.host.embedding_engine->limits().n_token_types > 1) input.token_types = std::move(framed.segments);
  return input;
}

// Cuts `ids` at its end so that with `around` further tokens it has at most cut.most.
Status shorten(std::vector<TokenId>& ids, size_t around, const Cut& cut) {
  if (!cut.wanted || ids.size() + around <= static_cast<size_t>(cut.most)) return ok_status();
  if (around >= static_cast<size_t>(cut.most)) {
    return invalid_argument(
        "truncate_prompt_tokens leaves no place for the text (give more than " + std::to_string(around) + ")",
        "truncate_prompt_tokens");
  }
  ids.resize(static_cast<size_t>(cut.most) - around);
  return ok_status();
}

Result<std::vector<TokenId>> encode_plain(const ServedModel& model, std::string_view text, const Cut& cut,
                                          const char* field) {
  if (!cut.wanted) RETURN_IF_ERROR(check_text_size(text.size(), model.longest_token_bytes, cut.most, field));
  return model.host.tokenizer->encode(text, {.add_special = false});
}

Result<TextInput> encode_input(const ServedModel& model, Prompt& prompt, const Cut& cut) {
  const Tokenizer& tokenizer = *model.host.tokenizer;
  if (auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) {  // as they are
    RETURN_IF_ERROR(shorten(*ids, 0, cut));
    return TextInput{std::move(*ids), {}};
  }
  ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode_plain(model, std::get<std::string>(prompt), cut, "input"));
  prompt = std::string();  // of thousands of texts only the ids are kept
  RETURN_IF_ERROR(shorten(ids, tokenizer.frame({}).ids.size(), cut));
  return to_input(model, tokenizer.frame(ids));
}

Status check_dimensions(const EmbeddingRules& rules, int dimensions, int most) {
  if (dimensions == 0 || dimensions == most) return ok_status();
  if (dimensions > most) {
    return invalid_argument("dimensions is " + std::to_string(dimensions) + ", the model has " + std::to_string(most),
                            "dimensions");
  }
  const bool listed =
      rules.dimensions.empty() || std::count(rules.dimensions.begin(), rules.dimensions.end(), int64_t{dimensions}) > 0;
  if (rules.may_shorten && listed) return ok_status();
  std::string allowed = std::to_string(most);
  for (const int64_t dim : rules.dimensions) allowed += ", " + std::to_string(dim);
  return invalid_argument(
      "the model's vectors cannot be cut to " + std::to_string(dimensions) + " dimensions (allowed: " + allowed + ")",
      "dimensions");
}

}  // namespace

Status Endpoints::embeddings(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(EmbeddingsRequest asked, parse_embeddings_request(http_request.body));
  ASSIGN_OR_RETURN(const ServedModel* model, models_.find(asked.model));
  if (!model->embeds()) {
    return invalid_argument(
        "model '" + name_of(*model, asked.model) + "' gives no embeddings (it is for " + model->endpoints_text() + ")",
        "model");
  }
  EmbeddingEngine& engine = *model->host.embedding_engine;
  const EmbeddingRules& rules = model->host.embedding;
  RETURN_IF_ERROR(check_dimensions(rules, asked.dimensions, engine.limits().dim));
  ASSIGN_OR_RETURN(const Cut cut, read_cut(*model, asked.truncate));
  EmbeddingRequest request;
  request.output = rules.pooling;
  request.dimensions = asked.dimensions;
  request.normalize = rules.normalize || (asked.dimensions > 0 && asked.dimensions < engine.limits().dim);
  request.texts.reserve(asked.inputs.size());
  for (Prompt& input : asked.inputs) {
    ASSIGN_OR_RETURN(TextInput text, encode_input(*model, input, cut));
    request.texts.push_back(std::move(text));
  }
  auto answer = std::make_unique<EmbeddingsAnswer>(name_of(*model, asked.model), asked.base64, request.texts.size());
  std::make_shared<EmbeddingJob>(engine, std::move(answer), responder)->start(std::move(request));
  return ok_status();
}

Status Endpoints::rerank(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(RerankRequest asked, parse_rerank_request(http_request.body));
  ASSIGN_OR_RETURN(const ServedModel* model, models_.find(asked.model));
  if (!model->ranks()) {
    return invalid_argument("model '" + name_of(*model, asked.model) + "' does not rank documents (it is for " +
                                model->endpoints_text() + ")",
                            "model");
  }
  EmbeddingEngine& engine = *model->host.embedding_engine;
  const Tokenizer& tokenizer = *model->host.tokenizer;
  ASSIGN_OR_RETURN(const Cut cut, read_cut(*model, asked.truncate));
  ASSIGN_OR_RETURN(const std::vector<TokenId> query, encode_plain(*model, asked.query, cut, "query"));
  const size_t around = tokenizer.frame_pair(query, {}).ids.size();
  EmbeddingRequest request;
  request.output = TextOutput::kScore;
  request.texts.reserve(asked.documents.size());
  for (const std::string& document : asked.documents) {
    ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode_plain(*model, document, cut, "documents"));
    RETURN_IF_ERROR(shorten(ids, around, cut));
    request.texts.push_back(to_input(*model, tokenizer.frame_pair(query, ids)));
  }
  auto answer =
      std::make_unique<RerankAnswer>(make_answer_id("rerank-"), name_of(*model, asked.model),
                                     asked.return_documents ? std::move(asked.documents) : std::vector<std::string>(),
                                     static_cast<size_t>(asked.top_n));
  std::make_shared<EmbeddingJob>(engine, std::move(answer), responder)->start(std::move(request));
  return ok_status();
}

}  // namespace strata::api
