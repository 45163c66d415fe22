// A model that the API can answer with: what the process has loaded, under the names clients may use.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/embedding_engine.h"
#include "engine/engine.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace strata::api {

// What a request gets where it says nothing; from the model's generation config.
struct GenerationDefaults {
  float temperature = 1;
  float top_p = 1;
  int top_k = 0;
  float min_p = 0;
  float repetition_penalty = 1;
};

// How a model makes embeddings.
struct EmbeddingRules {
  TextOutput pooling = TextOutput::kMean;
  bool normalize = true;
  bool may_shorten = true;               // its vectors may be cut to fewer dimensions ...
  std::vector<int64_t> dimensions = {};  // ... to one of these; empty: to any number
};

// An adapter that clients ask for in the place of a model.
struct NamedAdapter {
  std::string name;
  std::string folder;  // as it was named
  AdapterRef weights;
  int64_t created = 0;  // seconds since 1970
};

// Borrowed pointers: everything outlives the server the host is given to. At least one engine is there: a model that
// generates has the first and, as a rule, the second; one that only embeds or ranks has the second.
struct ModelHost {
  std::vector<std::string> names;  // not empty; the first one labels metrics, all are listed and accepted
  Engine* engine = nullptr;
  EmbeddingEngine* embedding_engine = nullptr;
  EmbeddingRules embedding = {};
  const Tokenizer* tokenizer = nullptr;
  const ChatTemplate* chat_template = nullptr;  // null: chat is refused with a clear error
  GenerationDefaults defaults;
  int64_t created = 0;  // seconds since 1970, for the list of models
  std::vector<NamedAdapter> adapters = {};  // offered from the start
  // Reads an adapter from a folder, on any thread; null: none can be loaded while the model is served.
  std::function<Result<AdapterRef>(const std::string& folder)> load_adapter = {};
  size_t max_adapters = 0;  // at a time
};

}  // namespace strata::api
