// A model that tells a fixed story, for tests of the server: the next token follows from the position alone, with a
// little room for sampling, and it can be slowed down or broken at will. Its tokens are single bytes.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "compute/graph/adapter_weights.h"
#include "engine/engine.h"
#include "engine/expert_load.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "serve/api/engine_metrics.h"
#include "serve/api/model_host.h"

namespace strata::test {

// Ids: 0 <s>, 1 </s>, 2 unused, 3 + b for byte b.
class ByteTokenizer final : public Tokenizer {
 public:
  static constexpr TokenId kBegin = 0;
  static constexpr TokenId kEnd = 1;
  static constexpr int kVocab = 259;
  static TokenId of(char c) { return 3 + static_cast<unsigned char>(c); }

  ByteTokenizer() : pieces_(kVocab) {
    for (int byte = 0; byte < 256; ++byte)
      pieces_[static_cast<size_t>(3 + byte)] = std::string(1, static_cast<char>(byte));
  }
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const override {
    std::vector<TokenId> ids;
    if (options.add_special) ids.push_back(kBegin);
    for (const char c : text) ids.push_back(of(c));
    return ids;
  }
  std::string_view piece(TokenId id, bool special = false) const override {
    if (id == kBegin) return special ? "<s>" : "";
    if (id == kEnd) return special ? "</s>" : "";
    return id >= 0 && id < kVocab ? std::string_view(pieces_[static_cast<size_t>(id)]) : std::string_view();
  }
  std::string decode(const std::vector<TokenId>& ids, bool special = false) const override {
    std::string text;
    for (const TokenId id : ids) text += piece(id, special);
    return text;
  }
  int vocab_size() const override { return kVocab; }
  bool is_special(TokenId id) const override { return id >= 0 && id <= 2; }
  std::optional<TokenId> find(std::string_view) const override { return std::nullopt; }
  std::optional<TokenId> bos() const override { return kBegin; }
  std::optional<TokenId> eos() const override { return kEnd; }
  std::vector<TokenId> end_of_generation() const override { return {kEnd}; }

 private:
  std::vector<std::string> pieces_;
};

struct ScriptControl {
  std::atomic<int> step_ms{0};      // time of a step
  std::atomic<bool> broken{false};  // the next step fails
  std::atomic<int> steps{0};
};

class ScriptedRunner final : public Runner {
 public:
  static constexpr std::string_view kStory = "the old fox went over the hill and was seen no more. ";
  static constexpr int kEndEvery = 160;  // the story ends at each multiple of this position

  ScriptedRunner(RunnerLimits limits, ScriptControl& control) : limits_(limits), control_(control) {}

  const RunnerLimits& limits() const override { return limits_; }
  Result<std::span<const float>> run(const Batch& batch) override {
    ++control_.steps;
    // As if every second token went to the second of two experts.
    const auto tokens = static_cast<int32_t>(batch.tokens());
    expert_load_.count(0, std::array{0, tokens - tokens / 2, tokens});
    const int delay = control_.step_ms;
    if (delay > 0) std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    if (control_.broken) return internal_error("the device is gone");
    logits_.assign(batch.output_rows.size() * static_cast<size_t>(limits_.vocab), -30.0f);
    for (size_t row = 0; row < batch.output_rows.size(); ++row) {
      const auto token = static_cast<size_t>(batch.output_rows[row]);
      const int32_t slot = batch.adapters.empty() ? -1 : batch.adapters[token];
      // An adapter tells the story from a later place on.
      const auto skip = slot < 0 ? 0 : batch.adapter_weights[static_cast<size_t>(slot)]->identity.low;
      fill(batch.positions[token], static_cast<size_t>(skip),
           std::span(logits_).subspan(row * static_cast<size_t>(limits_.vocab), static_cast<size_t>(limits_.vocab)));
    }
    return std::span<const float>(logits_);
  }
  void copy_block(int, int) override {}
  void clear_block(int) override {}
  const ExpertLoad* expert_load() const override { return &expert_load_; }

 private:
  static void fill(int position, size_t skip, std::span<float> logits) {
    for (char c = 'a'; c <= 'z'; ++c) {
      const auto id = static_cast<size_t>(ByteTokenizer::of(c));
      logits[id] = static_cast<float>((static_cast<unsigned>(position) * 2654435761u + id * 40503u) % 1024) / 256.0f;
    }
    const bool end = position % kEndEvery == kEndEvery - 1;
    const char next = kStory[(static_cast<size_t>(position) + skip) % kStory.size()];
    logits[static_cast<size_t>(end ? ByteTokenizer::kEnd : ByteTokenizer::of(next))] = 6;
  }

  const RunnerLimits limits_;
  ScriptControl& control_;
  std::vector<float> logits_;
  ExpertLoad expert_load_{{2}};
};

// Everything a ModelHost borrows.
struct ScriptedModel {
  ScriptedModel(Metrics& all_metrics, std::string name, int context = 1024, const AdmissionOptions& admission = {})
      : metrics(all_metrics, name), chat_template(parse_template()) {
    RunnerLimits limits;
    limits.vocab = ByteTokenizer::kVocab;
    limits.max_context = context;
    limits.max_batch_tokens = 512;
    limits.max_sequences = 256;
    limits.max_outputs = 512;
    limits.n_blocks = 4096;
    EngineOptions options;
    options.admission = admission;
    engine = std::make_unique<Engine>(std::make_unique<ScriptedRunner>(limits, control), tokenizer, options,
                                      steady_clock(), &metrics);
    metrics.attach(*engine);
    host.names = {std::move(name)};
    host.engine = engine.get();
    host.tokenizer = &tokenizer;
    host.chat_template = &chat_template;
    host.created = 1700000000;
    host.max_adapters = 2;
    host.load_adapter = [](const std::string& folder) { return scripted_adapter(folder); };
  }
  ~ScriptedModel() {
    metrics.detach();
    engine.reset();
  }

  // "skip/N" tells the story from N letters further on.
  static Result<AdapterRef> scripted_adapter(const std::string& folder) {
    if (folder == "broken") return data_loss("broken/adapter_model.safetensors: the header is no JSON");
    if (!folder.starts_with("skip/")) return not_found(folder + "/adapter_config.json: no such file");
    auto adapter = std::make_shared<AdapterWeights>();
    adapter->identity = {std::stoull(folder.substr(5)), 1};
    return AdapterRef(std::move(adapter));
  }
  static ChatTemplate parse_template() { return *ChatTemplate::parse(kChatMlTemplate); }

  ScriptControl control;
  ByteTokenizer tokenizer;
  api::EngineMetrics metrics;
  ChatTemplate chat_template;
  std::unique_ptr<Engine> engine;
  api::ModelHost host;
};

}  // namespace strata::test
