// Any bytes as the body of each endpoint: parsed or refused, never anything else.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "serve/api/api_requests.h"
#include "serve/api/error_response.h"

namespace {

template <class T>
void check(const strata::Result<T>& result) {
  if (result.ok()) return;
  CHECK(result.status().code() == strata::Code::kInvalidArgument);
  CHECK(!strata::api::error_response(result.status()).body.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  check(strata::api::parse_chat_request(body));
  check(strata::api::parse_completion_request(body));
  check(strata::api::parse_predict_request(body));
  check(strata::api::parse_tokenize_request(body));
  check(strata::api::parse_detokenize_request(body));
  return 0;
}
