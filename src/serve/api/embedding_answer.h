// The answers of /v1/embeddings and /v1/rerank. Internal to serve/api. An EmbeddingAnswer knows no socket and no
// engine; it is used on one thread at a time (the connection's).
#pragma once

#include <string>
#include <vector>

#include "engine/embedding_request.h"

namespace strata::api {

class EmbeddingAnswer {
 public:
  virtual ~EmbeddingAnswer() = default;
  // Takes rows in, in the order of the texts. An error when the model gave no numbers.
  virtual Status add(const EmbeddingEvent& event) = 0;
  // The whole answer, once all rows are in. `tokens`: of all texts.
  virtual std::string body(int64_t tokens) = 0;
};

// A list of embeddings, written as they come: what waits is the text of the answer alone, whose size the first row
// tells.
class EmbeddingsAnswer final : public EmbeddingAnswer {
 public:
  EmbeddingsAnswer(std::string model, bool base64, size_t n_texts)
      : model_(std::move(model)), base64_(base64), n_texts_(n_texts) {}
  Status add(const EmbeddingEvent& event) override;
  std::string body(int64_t tokens) override;

 private:
  const std::string model_;
  const bool base64_;
  const size_t n_texts_;
  std::string body_;
};

// Documents by relevance: the sigmoid of their score, ties to the lower index.
class RerankAnswer final : public EmbeddingAnswer {
 public:
  // `documents`: given back with the results, or empty. `top_n`: the best ones, 0: all.
  RerankAnswer(std::string id, std::string model, std::vector<std::string> documents, size_t top_n);
  Status add(const EmbeddingEvent& event) override;
  std::string body(int64_t tokens) override;

 private:
  const std::string id_;
  const std::string model_;
  const std::vector<std::string> documents_;
  const size_t top_n_;
  std::vector<double> relevance_;  // by index
};

// Standard base64 with padding.
std::string base64(const std::string& bytes);

}  // namespace strata::api
