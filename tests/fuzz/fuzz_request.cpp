// Any bytes as the body of each endpoint, as they are and as the fields of an otherwise valid body: parsed or refused,
// never anything else.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "serve/api/api_requests.h"
#include "serve/api/embedding_requests.h"
#include "serve/api/error_response.h"

namespace {

template <class T>
void check(const strata::Result<T>& result) {
  if (result.ok()) return;
  CHECK(result.status().code() == strata::Code::kInvalidArgument);
  CHECK(!strata::api::error_response(result.status()).body.empty());
}

void parse_as_each(std::string_view body) {
  check(strata::api::parse_chat_request(body));
  check(strata::api::parse_completion_request(body));
  check(strata::api::parse_predict_request(body));
  check(strata::api::parse_tokenize_request(body));
  check(strata::api::parse_detokenize_request(body));
  check(strata::api::parse_embeddings_request(body));
  check(strata::api::parse_rerank_request(body));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  parse_as_each(bytes);
  parse_as_each("{" + std::string(bytes) + R"(,"messages":[{"role":"user","content":"a"}],"prompt":"a","input":"a"})");
  parse_as_each(R"({"messages":[{"role":"user","content":)" + std::string(bytes) + "}]}");
  parse_as_each(R"({"query":"a","documents":[)" + std::string(bytes) + "]}");
  parse_as_each(R"({"prompt":)" + std::string(bytes) + R"(,"input":"a","parameters":)" + std::string(bytes) + "}");
  return 0;
}
