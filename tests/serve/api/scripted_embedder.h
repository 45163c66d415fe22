// A model that makes small vectors and scores anyone can work out, for tests of embeddings and reranking. It can be
// slowed down or broken at will.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/embedding_engine.h"
#include "scripted_model.h"
#include "serve/api/embedding_metrics.h"

namespace strata::test {

// The vector of a text: [tokens, first id, last id, 1]. The score of a pair: how many tokens of the second text are in
// the first, minus 1.
class ScriptedEmbedder final : public Embedder {
 public:
  static constexpr int kDim = 4;

  ScriptedEmbedder(const EmbedderLimits& limits, ScriptControl& control) : limits_(limits), control_(control) {}
  const EmbedderLimits& limits() const override { return limits_; }
  Status run(std::span<const TextTokens> texts) override {
    ++control_.steps;
    if (control_.step_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(control_.step_ms));
    if (control_.broken) return internal_error("the device is gone");
    vectors_.clear();
    scores_.clear();
    for (const TextTokens& text : texts) {
      for (const auto number : {static_cast<int>(text.ids.size()), text.ids.front(), text.ids.back(), 1})
        vectors_.push_back(static_cast<float>(number));
      scores_.push_back(score(text));
    }
    return ok_status();
  }
  std::span<const float> rows(TextOutput output) override { return output == TextOutput::kScore ? scores_ : vectors_; }

 private:
  static float score(const TextTokens& text) {
    float hits = -1;
    for (size_t i = 0; i < text.token_types.size(); ++i) {
      if (text.token_types[i] == 0) continue;
      for (size_t j = 0; j < text.ids.size() && text.token_types[j] == 0; ++j) {
        if (text.ids[j] != text.ids[i]) continue;
        ++hits;
        break;
      }
    }
    return hits;
  }

  const EmbedderLimits limits_;
  ScriptControl& control_;
  std::vector<float> vectors_, scores_;
};

// Everything a ModelHost borrows.
struct ScriptedEmbedding {
  ScriptedEmbedding(Metrics& all_metrics, std::string name, bool ranks, const EmbeddingOptions& options = {},
                    int max_text_tokens = 64)
      : metrics(all_metrics, name, true) {
    EmbedderLimits limits;
    limits.vocab = ByteTokenizer::kVocab;
    limits.max_text_tokens = max_text_tokens;
    limits.max_texts = 512;
    limits.n_token_types = 2;
    limits.embeds = !ranks;
    limits.scores = ranks;
    limits.dim = ScriptedEmbedder::kDim;
    limits.n_labels = ranks ? 1 : 0;
    engine = std::make_unique<EmbeddingEngine>(std::make_unique<ScriptedEmbedder>(limits, control), options,
                                               steady_clock(), &metrics);
    metrics.attach(*engine);
    host.names = {std::move(name)};
    host.embedding_engine = engine.get();
    host.embedding.normalize = false;
    host.tokenizer = &tokenizer;
    host.created = 1700000000;
  }
  ~ScriptedEmbedding() {
    metrics.detach();
    engine.reset();
  }

  ScriptControl control;
  ByteTokenizer tokenizer;
  api::EmbeddingMetrics metrics;
  std::unique_ptr<EmbeddingEngine> engine;
  api::ModelHost host;
};

}  // namespace strata::test
