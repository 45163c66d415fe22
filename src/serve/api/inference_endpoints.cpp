// The endpoints that use a model. Each one: read the body, find the model, make token ids, hand over to a Generation.
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "serve/api/chat_answer.h"
#include "serve/api/completion_answer.h"
#include "serve/api/endpoints.h"
#include "serve/api/generation.h"
#include "serve/api/json_text.h"
#include "serve/api/predict_answer.h"

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDefaultCompletionTokens = 16;  // OpenAI's default for /v1/completions

AnswerHead make_head(std::string_view prefix, const ServedModel& model, const std::string& asked_name,
                     const GenerationParams& params) {
  AnswerHead head;
  head.id = make_answer_id(prefix);
  head.model = asked_name.empty() ? model.host.names.front() : asked_name;
  head.created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  head.include_usage = params.include_usage;
  return head;
}

Result<std::vector<TokenId>> encode_text(const ServedModel& model, std::string_view text, const EncodeOptions& options,
                                         const std::string& field) {
  RETURN_IF_ERROR(check_text_size(text.size(), model.longest_token_bytes, model.max_tokens(), field));
  return model.host.tokenizer->encode(text, options);
}

// The ids of a chat. As with transformers, special tokens come from the template alone, unless asked for.
Result<std::vector<TokenId>> encode_chat(const ServedModel& model, ChatPrompt prompt) {
  const ChatTemplate* const chat_template = model.host.chat_template;
  if (chat_template == nullptr) {
    return invalid_argument("this model has no chat template (use /v1/completions)", "messages");
  }
  Json variables = {{"bos_token", model.bos_text}, {"eos_token", model.eos_text}};
  variables.update(prompt.variables);
  model.chat_form.apply(prompt.messages);
  variables["messages"] = std::move(prompt.messages);
  const Result<std::string> text =
      prompt.continue_final ? chat_template->render_continued(std::move(variables)) : chat_template->render(variables);
  if (!text.ok())
    return Status(Code::kInvalidArgument, text.status().message(), "messages").with_context("chat template");
  return encode_text(model, *text, {.add_special = prompt.add_special_tokens, .parse_special = true}, "messages");
}

Result<std::vector<TokenId>> encode_prompt(const ServedModel& model, Prompt& prompt) {
  if (auto* ids = std::get_if<std::vector<TokenId>>(&prompt)) return std::move(*ids);
  return encode_text(model, std::get<std::string>(prompt), {}, "prompt");
}

void run(const ServedModel& model, std::unique_ptr<Answer> answer, bool stream, std::vector<Request> requests,
         const std::shared_ptr<http::Responder>& responder) {
  std::make_shared<Generation>(*model.host.engine, std::move(answer), stream, responder)->start(std::move(requests));
}

void send_json(http::Responder& responder, const Json& value) {
  http::Response response;
  response.body = json_text(value);
  responder.send(std::move(response));
}

Status check_generates(const ServedModel& model) {
  if (model.generates()) return ok_status();
  return invalid_argument(
      "model '" + model.host.names.front() + "' generates no text (it is for " + model.endpoints_text() + ")", "model");
}

}  // namespace

std::string make_answer_id(std::string_view prefix) {
  thread_local std::mt19937_64 random(std::random_device{}());
  constexpr char kHex[] = "0123456789abcdef";
  std::string id(prefix);
  for (int half = 0; half < 2; ++half) {
    const uint64_t bits = random();
    for (int shift = 60; shift >= 0; shift -= 4) id.push_back(kHex[(bits >> shift) & 15]);
  }
  return id;
}

Status Endpoints::chat_completions(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(ChatRequest chat, parse_chat_request(http_request.body));
  ASSIGN_OR_RETURN(const Chosen chosen, models_.choose(chat.model));
  const ServedModel* const model = chosen.model;
  RETURN_IF_ERROR(check_generates(*model));
  ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode_chat(*model, std::move(chat.prompt)));
  ASSIGN_OR_RETURN(Request request, make_engine_request(chat.params, model->host, std::move(ids), {}, "messages"));
  request.id = http_request.id;
  request.adapter = chosen.adapter;
  if (chat.logprobs) request.logprobs = chat.top_logprobs;
  auto answer = std::make_unique<ChatAnswer>(make_head("chatcmpl-", *model, chat.model, chat.params),
                                             *model->host.tokenizer, chat.params.n, chat.logprobs);
  run(*model, std::move(answer), chat.params.stream, {std::move(request)}, responder);
  return ok_status();
}

Status Endpoints::completions(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(CompletionRequest completion, parse_completion_request(http_request.body));
  ASSIGN_OR_RETURN(const Chosen chosen, models_.choose(completion.model));
  const ServedModel* const model = chosen.model;
  RETURN_IF_ERROR(check_generates(*model));
  const bool logprobs = completion.logprobs >= 0;
  std::vector<Request> requests;
  std::vector<EchoedPrompt> echo;
  for (Prompt& prompt : completion.prompts) {
    std::string text = std::holds_alternative<std::string>(prompt) ? std::get<std::string>(prompt) : std::string();
    ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode_prompt(*model, prompt));
    if (completion.echo) {
      if (text.empty()) text = model->host.tokenizer->decode(ids);
      echo.push_back({std::move(text), ids});
    }
    ASSIGN_OR_RETURN(Request request, make_engine_request(completion.params, model->host, std::move(ids),
                                                          kDefaultCompletionTokens, "prompt"));
    request.id = http_request.id;
    request.adapter = chosen.adapter;
    request.logprobs = completion.logprobs;
    if (completion.echo) request.prompt_logprobs = completion.logprobs;
    requests.push_back(std::move(request));
  }
  auto answer = std::make_unique<CompletionAnswer>(make_head("cmpl-", *model, completion.model, completion.params),
                                                   *model->host.tokenizer, static_cast<int>(requests.size()),
                                                   completion.params.n, logprobs, std::move(echo));
  run(*model, std::move(answer), completion.params.stream, std::move(requests), responder);
  return ok_status();
}

Status Endpoints::predict(const http::Request& http_request, const ResponderPtr& responder) {
  const std::string name(http_request.param("id"));
  ASSIGN_OR_RETURN(const Chosen chosen, models_.choose(name));
  const ServedModel* const model = chosen.model;
  RETURN_IF_ERROR(check_generates(*model));
  ASSIGN_OR_RETURN(PredictRequest predict, parse_predict_request(http_request.body));
  ASSIGN_OR_RETURN(std::vector<TokenId> ids, encode_text(*model, predict.input, {}, "input"));
  ASSIGN_OR_RETURN(Request request, make_engine_request(predict.params, model->host, std::move(ids), {}, "input"));
  request.id = http_request.id;
  request.adapter = chosen.adapter;
  if (predict.params.stream) request.logprobs = 0;
  auto answer = std::make_unique<PredictAnswer>(make_head("pred-", *model, name, predict.params));
  run(*model, std::move(answer), predict.params.stream, {std::move(request)}, responder);
  return ok_status();
}

Status Endpoints::tokenize(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(TokenizeRequest tokenize, parse_tokenize_request(http_request.body));
  ASSIGN_OR_RETURN(const Chosen chosen, models_.choose(tokenize.model));
  const ServedModel* const model = chosen.model;
  std::vector<TokenId> ids;
  if (tokenize.chat) {
    ASSIGN_OR_RETURN(ids, encode_chat(*model, std::move(*tokenize.chat)));
  } else {
    ids = model->host.tokenizer->encode(tokenize.prompt, {.add_special = tokenize.add_special_tokens});
  }
  send_json(*responder, {{"tokens", ids}, {"count", ids.size()}, {"max_model_len", model->max_tokens()}});
  return ok_status();
}

Status Endpoints::detokenize(const http::Request& http_request, const ResponderPtr& responder) {
  ASSIGN_OR_RETURN(DetokenizeRequest detokenize, parse_detokenize_request(http_request.body));
  ASSIGN_OR_RETURN(const Chosen chosen, models_.choose(detokenize.model));
  const ServedModel* const model = chosen.model;
  const int vocab = model->host.tokenizer->vocab_size();
  for (const TokenId id : detokenize.tokens) {
    if (id < vocab) continue;
    return invalid_argument(
        "tokens: token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocab), "tokens");
  }
  send_json(*responder, {{"prompt", model->host.tokenizer->decode(detokenize.tokens, true)}});
  return ok_status();
}

}  // namespace strata::api
