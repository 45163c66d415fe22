#include "model/text/tokenizer_documents.h"

#include <cmath>
#include <sstream>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/format/gguf.h"
#include "model/text/byte_alphabet.h"
#include "test_data.h"

namespace strata::test {
namespace {

struct Vocabulary {
  nlohmann::json tokens = nlohmann::json::object();
  nlohmann::json merges = nlohmann::json::array();
};

Vocabulary llama3() {
  Vocabulary vocabulary;
  const auto folder = shared_data() / "tokenizers" / "llama3";
  vocabulary.tokens = nlohmann::json::parse(read_text(folder / "encoder.json"));
  std::istringstream lines(read_text(folder / "vocab.bpe"));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) vocabulary.merges.push_back(line);
  }
  return vocabulary;
}

std::string decode_base64(const std::string& text) {
  std::string bytes;
  uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t value = alphabet.find(c);
    if (value == std::string_view::npos) break;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    n_bits += 6;
    if (n_bits >= 8) bytes += static_cast<char>(bits >> (n_bits -= 8));
  }
  return bytes;
}

// tiktoken files give ranks only; a token's merge is what its bytes come to when all lower merges are done.
std::pair<std::string, std::string> merge_of(const std::string& token,
                                             const std::unordered_map<std::string, int>& ranks) {
  std::vector<std::string> parts;
  for (const char c : token) parts.emplace_back(1, c);
  while (parts.size() > 2) {
    size_t best = 0;
    int best_rank = INT32_MAX;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto rank = ranks.find(parts[i] + parts[i + 1]);
      if (rank != ranks.end() && rank->second < best_rank) {
        best = i;
        best_rank = rank->second;
      }
    }
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  return {parts[0], parts[1]};
}

Vocabulary qwen() {
  std::istringstream lines(read_text(shared_data() / "tokenizers" / "qwen" / "qwen.tiktoken"));
  std::unordered_map<std::string, int> ranks;
  std::vector<std::string> in_order;
  std::string token;
  for (int rank = 0; lines >> token >> rank;) {
    in_order.push_back(decode_base64(token));
    ranks.emplace(in_order.back(), rank);
  }
  Vocabulary vocabulary;
  for (size_t rank = 0; rank < in_order.size(); ++rank) {
    vocabulary.tokens[spell_bytes(in_order[rank])] = rank;
    if (in_order[rank].size() < 2) continue;
    const auto [left, right] = merge_of(in_order[rank], ranks);
    vocabulary.merges.push_back({spell_bytes(left), spell_bytes(right)});
  }
  return vocabulary;
}

Vocabulary gguf(const std::string& name) {
  Vocabulary vocabulary;
  const auto file = GgufFile::open(shared_data() / "tokenizers" / ("ggml-vocab-" + name + ".gguf"));
  const auto tokens = file->find("tokenizer.ggml.tokens")->as_strings().value();
  const auto merges = file->find("tokenizer.ggml.merges")->as_strings().value();
  for (size_t id = 0; id < tokens.size(); ++id) vocabulary.tokens[std::string(tokens[id])] = id;
  for (const auto merge : merges) vocabulary.merges.push_back(std::string(merge));
  return vocabulary;
}

std::vector<std::string_view> gguf_tokens(const GgufFile& file) {
  return file.find("tokenizer.ggml.tokens")->as_strings().value();
}

// BERT's spelling of the vocabulary that llama.cpp's file spells otherwise.
nlohmann::json word_pieces() {
  const auto file = GgufFile::open(shared_data() / "tokenizers" / "ggml-vocab-bert-bge.gguf");
  nlohmann::json vocabulary = nlohmann::json::object();
  size_t id = 0;
  for (const std::string_view token : gguf_tokens(*file)) {
    const bool special = token.starts_with('[') && token.ends_with(']');
    const bool begins = token.starts_with("\u2581");
    vocabulary[special ? std::string(token) : begins ? std::string(token.substr(3)) : "##" + std::string(token)] = id++;
  }
  return vocabulary;
}

// Llama 2's vocabulary as a unigram model: the earlier a piece the likelier.
nlohmann::json scored_pieces() {
  const auto file = GgufFile::open(shared_data() / "tokenizers" / "ggml-vocab-llama-spm.gguf");
  nlohmann::json vocabulary = nlohmann::json::array();
  for (const std::string_view token : gguf_tokens(*file)) {
    const double score = -std::pow(static_cast<double>(vocabulary.size() + 1), 0.25);
    vocabulary.push_back({std::string(token), score});
  }
  return vocabulary;
}

}  // namespace

const nlohmann::json& tokenizer_golden() {
  static const nlohmann::json golden =
      nlohmann::json::parse(read_text(source_dir() / "tests" / "data" / "tokenizer_golden.json"));
  return golden;
}

std::string tokenizer_document(const std::string& pipeline) {
  nlohmann::json document = tokenizer_golden()["pipelines"][pipeline];
  const std::string name = document["vocabulary"];
  document.erase("vocabulary");
  if (name == "mistral") {
    auto whole = nlohmann::json::parse(
        read_text(shared_data() / "tokenizers" / "vllmcpp" / "tokenizer_mistral" / "tokenizer.json"));
    whole.update(document);
    return whole.dump();
  }
  if (name == "word-pieces" || name == "scored-pieces") {
    document["model"]["vocab"] = name == "word-pieces" ? word_pieces() : scored_pieces();
    return document.dump();
  }
  Vocabulary vocabulary = name == "llama3" ? llama3() : name == "qwen" ? qwen() : gguf(name);
  document["model"]["vocab"] = std::move(vocabulary.tokens);
  document["model"]["merges"] = std::move(vocabulary.merges);
  return document.dump();
}

}  // namespace strata::test
