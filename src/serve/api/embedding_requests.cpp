#include "serve/api/embedding_requests.h"

#include "serve/api/json_fields.h"

namespace strata::api {
namespace {

namespace dom = simdjson::dom;

constexpr int kMaxTexts = 65536;  // of one request
constexpr int kMaxTokens = 1 << 24;

Status read_truncate(const JsonFields& fields, std::optional<int>& out) {
  std::optional<int64_t> value;
  RETURN_IF_ERROR(fields.read_integer("truncate_prompt_tokens", -1, kMaxTokens, value));
  if (value && *value == 0) {
    return invalid_argument("truncate_prompt_tokens must be -1 (the model's) or at least 1", "truncate_prompt_tokens");
  }
  if (value) out = static_cast<int>(*value);
  return ok_status();
}

// A string, or an object with a string "text".
Result<std::string> read_document(JsonElement element, size_t index) {
  std::string_view text;
  if (!element.get(text)) return std::string(text);
  const std::string name = "documents[" + std::to_string(index) + "]";
  dom::object object;
  if (element.get(object)) {
    return invalid_argument(name + " must be a string or an object with a text, not " + std::string(kind_of(element)),
                            "documents");
  }
  if (object["text"].get(text)) return invalid_argument(name + ".text is missing or no string", "documents");
  return std::string(text);
}

}  // namespace

Result<EmbeddingsRequest> parse_embeddings_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  EmbeddingsRequest out;
  RETURN_IF_ERROR(fields.read_string("model", out.model));
  ASSIGN_OR_RETURN(out.inputs, read_prompts(fields, "input", kMaxTexts));
  std::string format = "float";
  RETURN_IF_ERROR(fields.read_string("encoding_format", format));
  if (format != "float" && format != "base64") {
    return invalid_argument("encoding_format must be float or base64", "encoding_format");
  }
  out.base64 = format == "base64";
  std::optional<int64_t> dimensions;
  RETURN_IF_ERROR(fields.read_integer("dimensions", 1, kMaxTokens, dimensions));
  out.dimensions = static_cast<int>(dimensions.value_or(0));
  RETURN_IF_ERROR(read_truncate(fields, out.truncate));
  return out;
}

Result<RerankRequest> parse_rerank_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  RerankRequest out;
  RETURN_IF_ERROR(fields.read_string("model", out.model));
  RETURN_IF_ERROR(fields.read_string("query", out.query));
  if (out.query.empty()) return invalid_argument("query is missing or empty", "query");
  const auto element = fields.find("documents");
  if (!element) return invalid_argument("documents is missing", "documents");
  dom::array documents;
  if (element->get(documents)) return fields.wrong_type("documents", "an array", *element);
  for (const JsonElement document : documents) {
    ASSIGN_OR_RETURN(std::string text, read_document(document, out.documents.size()));
    out.documents.push_back(std::move(text));
    if (out.documents.size() > kMaxTexts) {
      return invalid_argument("documents has more than " + std::to_string(kMaxTexts) + " entries", "documents");
    }
  }
  if (out.documents.empty()) return invalid_argument("documents is empty", "documents");
  std::optional<int64_t> top_n;
  RETURN_IF_ERROR(fields.read_integer("top_n", 1, kMaxTokens, top_n));
  out.top_n = static_cast<int>(top_n.value_or(0));
  RETURN_IF_ERROR(fields.read_bool("return_documents", out.return_documents));
  RETURN_IF_ERROR(read_truncate(fields, out.truncate));
  return out;
}

}  // namespace strata::api
