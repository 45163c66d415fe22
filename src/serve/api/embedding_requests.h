// The bodies of /v1/embeddings and /v1/rerank, read and checked as far as that goes without the model. Internal to
// serve/api. Every error is kInvalidArgument and names the field in Status::param.
// Sources: https://github.com/openai/openai-openapi, https://docs.cohere.com/reference/rerank,
// https://jina.ai/reranker; truncate_prompt_tokens as vLLM has it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api/api_requests.h"

namespace strata::api {

struct EmbeddingsRequest {
  std::string model;            // empty: not given
  std::vector<Prompt> inputs;   // not empty, none of them empty
  bool base64 = false;          // little-endian floats, in the place of a list of numbers
  int dimensions = 0;           // 0: all
  std::optional<int> truncate;  // cut longer inputs to so many tokens; -1: to the model's
};
Result<EmbeddingsRequest> parse_embeddings_request(std::string_view body);

struct RerankRequest {
  std::string model;
  std::string query;
  std::vector<std::string> documents;  // not empty
  int top_n = 0;                       // 0: all
  bool return_documents = false;
  std::optional<int> truncate;  // cut longer documents so that the pair has so many tokens; -1: the model's
};
Result<RerankRequest> parse_rerank_request(std::string_view body);

}  // namespace strata::api
