// The cases that come with published vocabularies: texts and the ids that llama.cpp, SGLang's router (whole chats) and
// Hugging Face's tokenizers give them.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"
#include "model/text/tokenizer_documents.h"
#include "test_data.h"

namespace strata {
namespace {

std::vector<std::string> split_cases(const std::string& text) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  std::vector<std::string> cases;
  size_t at = 0;
  for (size_t next; (next = text.find(separator, at)) != std::string::npos; at = next + separator.size()) {
    cases.push_back(text.substr(at, next - at));
  }
  return cases;
}

std::vector<TokenId> read_ids(const std::string& line) {
  std::istringstream in(line);
  std::vector<TokenId> ids;
  for (TokenId id; in >> id;) ids.push_back(id);
  return ids;
}

std::unique_ptr<Tokenizer> tokenizer_of(const std::string& pipeline) {
  auto tokenizer = tokenizer_from_json(test::tokenizer_document(pipeline));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

// ggml-vocab-NAME.gguf.inp and .out
void expect_cases(const Tokenizer& tokenizer, const std::string& name) {
  const auto base = (test::shared_data() / "tokenizers" / ("ggml-vocab-" + name + ".gguf")).string();
  const std::vector<std::string> inputs = split_cases(test::read_text(base + ".inp"));
  std::istringstream outputs(test::read_text(base + ".out"));
  ASSERT_GT(inputs.size(), 40u);
  for (const std::string& input : inputs) {
    std::string line;
    ASSERT_TRUE(std::getline(outputs, line));
    EXPECT_EQ(tokenizer.encode(input, {.add_special = false, .parse_special = false}), read_ids(line)) << input;
  }
}

class VocabularyCases : public testing::TestWithParam<std::string> {};

TEST_P(VocabularyCases, GgufEncodesAsLlamaCpp) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto file = GgufFile::open(test::shared_data() / "tokenizers" / ("ggml-vocab-" + GetParam() + ".gguf"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = tokenizer_from_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  expect_cases(**tokenizer, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Gguf, VocabularyCases,
                         testing::Values("llama-spm", "phi-3", "gpt-2", "deepseek-coder", "bert-bge"),
                         [](const auto& name) {
                           std::string text = name.param;
                           std::replace(text.begin(), text.end(), '-', '_');
                           return text;
                         });

TEST(VocabularyCases, Llama3DocumentEncodesAsLlamaCpp) {
  STRATA_REQUIRE_DATA("tokenizers");
  expect_cases(*tokenizer_of("llama-3"), "llama-bpe");
}

TEST(VocabularyCases, QwenDocumentEncodesAsLlamaCpp) {
  STRATA_REQUIRE_DATA("tokenizers");
  expect_cases(*tokenizer_of("qwen-2"), "qwen2");
}

TEST(VocabularyCases, WholeChatsOfQwen) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto tokenizer = tokenizer_of("qwen-2");
  for (const char* shape : {"short", "long", "multi_turn_with_tools", "special_token_heavy"}) {
    const auto folder = test::shared_data() / "tokenizers/sglang-parity/tokenizer_parity/qwen3-30b";
    const auto path = folder / (std::string(shape) + ".json");
    const auto chat = nlohmann::json::parse(test::read_text(path));
    const std::string text = chat["prompt_text"];
    const std::vector<TokenId> ids = chat["expected_token_ids"];
    EXPECT_EQ(tokenizer->encode(text), ids) << shape;
    EXPECT_EQ(tokenizer->decode(ids, true), text) << shape;
  }
}

TEST(VocabularyCases, MistralDocument) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto tokenizer = tokenizer_of("mistral");
  const auto path = test::shared_data() / "tokenizers/vllmcpp/tokenizer_mistral/encodings.json";
  const auto cases = nlohmann::json::parse(test::read_text(path))["entries"];
  ASSERT_GT(cases.size(), 40u);
  for (const auto& entry : cases) {
    const std::string text = entry["text"];
    const std::vector<TokenId> ids = entry["ids"];
    EXPECT_EQ(tokenizer->encode(text, {.add_special = false}), ids) << text;
    EXPECT_EQ(tokenizer->encode(text), entry["ids_special"].get<std::vector<TokenId>>()) << text;
    EXPECT_EQ(tokenizer->decode(ids, true), entry["decode"].get<std::string>()) << text;
  }
}

TEST(VocabularyCases, TinyByteLevelDocument) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto path = test::shared_data() / "tokenizers/sglang-parity/tiny_tokenizer.json";
  const auto tokenizer = tokenizer_from_json(test::read_text(path));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  // Every byte is its own token, in the order of the alphabet's spellings.
  EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode("h\xC3\xA9 <|endoftext|>")), "h\xC3\xA9 ");
  EXPECT_EQ((*tokenizer)->encode("<|endoftext|>"), std::vector<TokenId>{256});
}

}  // namespace
}  // namespace strata
