#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <deque>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/runtime.h"
#include "engine/engine.h"
#include "model/text/chat_form.h"

namespace strata::cli {
namespace {

// Hands events from the engine's thread to this one.
class EventQueue {
 public:
  void push(Event&& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    ready_.notify_one();
  }
  Event pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return !events_.empty(); });
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Event> events_;
};

struct Answer {
  std::string text;
  std::vector<TokenId> tokens;
  Usage usage;
  FinishReason finish = FinishReason::kNone;
  double first_token_s = 0;  // since submission
  double total_s = 0;
};

const char* finish_name(FinishReason finish) { return finish == FinishReason::kStop ? "stop" : "length"; }

Request make_request(const Settings& settings, std::vector<TokenId> prompt, const RunnerLimits& limits,
                     const AdapterRef& adapter) {
  Request request;
  request.id = "run";
  request.adapter = adapter;
  request.max_tokens = std::min<int>(settings.n_tokens, limits.max_context - static_cast<int>(prompt.size()));
  request.max_tokens =
      std::max(request.max_tokens, std::min(settings.n_tokens, 1));  // too long a prompt is refused by submit
  request.prompt = std::move(prompt);
  request.sampling.temperature = static_cast<float>(settings.temperature);
  request.sampling.top_k = settings.top_k;
  request.sampling.top_p = static_cast<float>(settings.top_p);
  request.sampling.min_p = static_cast<float>(settings.min_p);
  request.sampling.seed = settings.seed;
  return request;
}

// Runs one request to its end; prints the text as it comes when `print` is set.
Result<Answer> answer(Engine& engine, Request request, bool print) {
  EventQueue queue;
  Answer result;
  const TimePoint start = steady_clock().now();
  const auto handle = engine.submit(std::move(request), [&queue](Event&& event) { queue.push(std::move(event)); });
  if (!handle.ok()) return handle.status();
  for (;;) {
    const Event event = queue.pop();
    const double now = to_seconds(steady_clock().now() - start);
    if (!event.tokens.empty() && result.tokens.empty()) result.first_token_s = now;
    result.tokens.insert(result.tokens.end(), event.tokens.begin(), event.tokens.end());
    result.text += event.text;
    if (print) {
      std::fwrite(event.text.data(), 1, event.text.size(), stdout);
      std::fflush(stdout);
    }
    if (event.finish != FinishReason::kNone) result.finish = event.finish;
    if (event.finish == FinishReason::kError) return event.error;
    if (!event.last) continue;
    result.usage = event.usage;
    result.total_s = now;
    return result;
  }
}

void print_json(const Answer& a) {
  const double prefill = a.first_token_s > 0 ? a.usage.prompt_tokens / a.first_token_s : 0;
  const double decode_s = a.total_s - a.first_token_s;
  const double decode = decode_s > 0 && a.tokens.size() > 1 ? static_cast<double>(a.tokens.size() - 1) / decode_s : 0;
  const nlohmann::ordered_json json{
      {"text", a.text},
      {"tokens", a.tokens},
      {"prompt_tokens", a.usage.prompt_tokens},
      {"finish_reason", finish_name(a.finish)},
      {"timing", {{"ttft_ms", a.first_token_s * 1e3}, {"prefill_tok_s", prefill}, {"decode_tok_s", decode}}}};
  std::printf("%s\n", json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

std::string token_text(const Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? std::string(tokenizer.piece(*id, true)) : std::string();
}

Status chat(const Settings& settings, const Model& model, const Tokenizer& tokenizer, Engine& engine,
            const AdapterRef& adapter) {
  if (model.chat_template() == nullptr)
    return invalid_argument("run: " + model.name() + " has no chat template (give a prompt with -p)");
  const std::vector<TokenId> ends = tokenizer.end_of_generation();
  const ChatForm form = ChatForm::of(*model.chat_template());
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  std::fputs("Chat with the model; an empty line or Ctrl-D ends it.\n", stderr);
  for (;;) {
    std::fputs("> ", stderr);
    std::string line;
    if (!std::getline(std::cin, line) || line.empty()) return ok_status();
    messages.push_back({{"role", "user"}, {"content", line}});
    form.apply(messages);
    ASSIGN_OR_RETURN(const std::string text,
                     model.chat_template()->render(
                         {{"messages", messages},
                          {"add_generation_prompt", true},
                          {"bos_token", token_text(tokenizer, tokenizer.bos())},
                          {"eos_token", ends.empty() ? std::string() : token_text(tokenizer, ends.front())}}));
    const Result<Answer> reply =
        answer(engine, make_request(settings, tokenizer.encode(text, {false, true}), engine.limits(), adapter), true);
    if (!reply.ok()) return reply.status();
    std::fputc('\n', stdout);
    messages.push_back({{"role", "assistant"}, {"content", reply->text}});
  }
}

}  // namespace

Status run_command(const Settings& settings, const Arguments& arguments) {
  const bool interactive = settings.prompt.empty() && ::isatty(STDIN_FILENO) == 1;
  ASSIGN_OR_RETURN(LoadedModel loaded,
                   load_model(settings, arguments[0], [](RunnerOptions& options) { options.max_sequences = 1; }));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*loaded.model));
  EngineOptions options;
  options.max_batch_tokens = settings.max_batch_tokens;
  options.prefill_chunk = settings.prefill_chunk;
  ASSIGN_OR_RETURN(const AdapterRef adapter, chosen_adapter(settings, *loaded.model, *loaded.runner));
  Engine engine(std::move(loaded.runner), *tokenizer, options, steady_clock());
  if (interactive) return chat(settings, *loaded.model, *tokenizer, engine, adapter);

  const std::string prompt = settings.prompt.empty() ? read_standard_input() : settings.prompt;
  std::vector<TokenId> ids = tokenizer->encode(prompt);
  if (ids.empty()) return invalid_argument("run: the prompt has no tokens (give one with -p)");
  if (!settings.json) std::fputs(prompt.c_str(), stdout);
  ASSIGN_OR_RETURN(const Answer a,
                   answer(engine, make_request(settings, std::move(ids), engine.limits(), adapter), !settings.json));
  if (settings.json) {
    print_json(a);
  } else {
    std::fputc('\n', stdout);
  }
  return ok_status();
}

}  // namespace strata::cli
