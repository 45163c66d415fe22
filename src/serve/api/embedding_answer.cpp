#include "serve/api/embedding_answer.h"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>

#include "serve/api/json_text.h"

namespace strata::api {
namespace {

using Json = nlohmann::ordered_json;

bool all_finite(std::span<const float> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
}

Status not_finite() { return internal_error("the model gave numbers that are not finite"); }

// The shortest text that reads back as the same float.
void append_number(float value, std::string& out) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
  out.append(digits, end);
}

void append_numbers(std::span<const float> row, std::string& out) {
  out += '[';
  for (size_t i = 0; i < row.size(); ++i) {
    if (i > 0) out += ',';
    append_number(row[i], out);
  }
  out += ']';
}

std::string little_endian(std::span<const float> row) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(row.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), row.data(), bytes.size());
  return bytes;
}

Json usage_json(int64_t tokens) { return {{"prompt_tokens", tokens}, {"total_tokens", tokens}}; }

}  // namespace

std::string base64(const std::string& bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the zero that OpenSSL writes
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(n));
  return text;
}

Status EmbeddingsAnswer::add(const EmbeddingEvent& event) {
  if (!all_finite(event.rows)) return not_finite();
  for (size_t i = 0; event.dim > 0 && i < event.rows.size() / event.dim; ++i) {
    const auto row = std::span(event.rows).subspan(i * event.dim, event.dim);
    const bool first = body_.empty();
    body_ += first ? R"({"object":"list","data":[)" : ",";
    body_ += R"({"object":"embedding","index":)" + std::to_string(event.first + i) + R"(,"embedding":)";
    if (base64_) {
      body_ += '"' + base64(little_endian(row)) + '"';
    } else {
      append_numbers(row, body_);
    }
    body_ += '}';
    if (first) body_.reserve(body_.size() * (n_texts_ + n_texts_ / 8 + 1) + 256);
  }
  return ok_status();
}

std::string EmbeddingsAnswer::body(int64_t tokens) {
  const Json rest = {{"model", model_}, {"usage", usage_json(tokens)}};
  body_ += "]," + json_text(rest).substr(1);
  return std::move(body_);
}

RerankAnswer::RerankAnswer(std::string id, std::string model, std::vector<std::string> documents, size_t top_n)
    : id_(std::move(id)), model_(std::move(model)), documents_(std::move(documents)), top_n_(top_n) {}

Status RerankAnswer::add(const EmbeddingEvent& event) {
  if (!all_finite(event.rows)) return not_finite();
  for (const float score : event.rows) relevance_.push_back(1 / (1 + std::exp(-static_cast<double>(score))));
  return ok_status();
}

std::string RerankAnswer::body(int64_t tokens) {
  std::vector<size_t> order(relevance_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [this](size_t a, size_t b) { return relevance_[a] > relevance_[b]; });
  if (top_n_ > 0 && top_n_ < order.size()) order.resize(top_n_);
  Json results = Json::array();
  for (const size_t index : order) {
    Json result = {{"index", index}, {"relevance_score", relevance_[index]}};
    if (!documents_.empty()) result["document"] = {{"text", documents_[index]}};
    results.push_back(std::move(result));
  }
  return json_text({{"id", id_}, {"model", model_}, {"results", std::move(results)}, {"usage", usage_json(tokens)}});
}

}  // namespace strata::api
