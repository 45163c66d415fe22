// Random texts of many scripts through each kind of pipeline, compared with Hugging Face's tokenizers and SentencePiece
// (tests/data/make_tokenizer_golden.py).
#include <gtest/gtest.h>

#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"
#include "model/text/tokenizer_documents.h"
#include "model/text/utf8.h"
#include "test_data.h"

namespace strata {
namespace {

class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t n) {
    state_ += 0x9E3779B97F4A7C15ull;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return ((z ^ (z >> 31)) >> 33) % n;
  }

 private:
  uint64_t state_;
};

std::string random_text(uint64_t seed) {
  const nlohmann::json& words = test::tokenizer_golden()["words"];
  const nlohmann::json& ranges = test::tokenizer_golden()["ranges"];
  SplitMix random(seed);
  std::string text;
  const uint64_t n = 1 + random.below(24);
  for (uint64_t i = 0; i < n; ++i) {
    if (random.below(4) < 3) {
      text += words[random.below(words.size())].get<std::string>();
      continue;
    }
    const nlohmann::json& range = ranges[random.below(ranges.size())];
    const char32_t low = range[0];
    const char32_t high = range[1];
    const uint64_t length = 1 + random.below(5);
    for (uint64_t k = 0; k < length; ++k) append_utf8(text, low + static_cast<char32_t>(random.below(high - low + 1)));
  }
  return text;
}

uint32_t short_hash(const void* data, size_t size) {
  uint32_t value = 0x811C9DC5;
  for (size_t i = 0; i < size; ++i) value = (value ^ static_cast<const uint8_t*>(data)[i]) * 0x01000193;
  return value & 0xFFFFFF;
}

// Base64 of three bytes, little-endian, as the golden file keeps each hash.
std::string base64_of(uint32_t value) {
  const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint32_t bits = ((value & 0xFF) << 16) | (value & 0xFF00) | (value >> 16);
  return {alphabet[bits >> 18], alphabet[(bits >> 12) & 63], alphabet[(bits >> 6) & 63], alphabet[bits & 63]};
}

void compare(const Tokenizer& tokenizer, const std::string& name, const EncodeOptions& options) {
  const std::string expected = test::tokenizer_golden()["golden"][name];
  const size_t cases = test::tokenizer_golden()["cases"];
  ASSERT_EQ(expected.size(), cases * 8);
  int wrong_ids = 0;
  int wrong_texts = 0;
  for (size_t i = 0; i < cases; ++i) {
    const std::string text = random_text(i);
    const std::vector<TokenId> ids = tokenizer.encode(text, options);
    const std::string decoded = tokenizer.decode(ids);
    const bool same_ids = base64_of(short_hash(ids.data(), ids.size() * sizeof(TokenId))) == expected.substr(8 * i, 4);
    const bool same_text = base64_of(short_hash(decoded.data(), decoded.size())) == expected.substr(8 * i + 4, 4);
    if (!same_ids && ++wrong_ids <= 3) ADD_FAILURE() << "ids of case " << i << ": " << testing::PrintToString(text);
    if (same_ids && !same_text && ++wrong_texts <= 3) {
      ADD_FAILURE() << "text of case " << i << ": " << testing::PrintToString(text) << "\n"
                    << testing::PrintToString(decoded);
    }
  }
  EXPECT_EQ(wrong_ids, 0);
  EXPECT_EQ(wrong_texts, 0);
}

class TokenizerGolden : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, EqualsHuggingFace) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto tokenizer = tokenizer_from_json(test::tokenizer_document(GetParam()));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  compare(**tokenizer, GetParam(), {});
}

INSTANTIATE_TEST_SUITE_P(Pipelines, TokenizerGolden,
                         testing::Values("llama-3", "qwen-2", "qwen-3.5", "gpt-2", "gpt-2-prefix", "gpt-4o",
                                         "deepseek-coder", "deepseek-v3", "falcon", "starcoder", "whitespace",
                                         "mistral", "llama-2", "gemma", "t5-words", "bert", "unigram"),
                         [](const auto& pipeline) {
                           std::string name = pipeline.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST(TokenizerGolden, GgufEqualsSentencePiece) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto file = GgufFile::open(test::shared_data() / "tokenizers" / "ggml-vocab-llama-spm.gguf");
  ASSERT_TRUE(file.ok());
  const auto tokenizer = tokenizer_from_gguf(*file);
  ASSERT_TRUE(tokenizer.ok());
  compare(**tokenizer, "sentencepiece", {.add_special = false, .parse_special = false});
}

}  // namespace
}  // namespace strata
