// The cases that come with the GGUF vocabularies: texts and the ids llama.cpp gives them.
#include <gtest/gtest.h>

#include <sstream>

#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"
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

class VocabularyCases : public testing::TestWithParam<std::string> {};

TEST_P(VocabularyCases, EncodesAsLlamaCpp) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto base = test::shared_data() / "tokenizers" / ("ggml-vocab-" + GetParam() + ".gguf");
  const auto file = GgufFile::open(base);
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = tokenizer_from_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  const std::vector<std::string> inputs = split_cases(test::read_text(base.string() + ".inp"));
  std::istringstream outputs(test::read_text(base.string() + ".out"));
  ASSERT_GT(inputs.size(), 40u);
  for (const std::string& input : inputs) {
    std::string line;
    ASSERT_TRUE(std::getline(outputs, line));
    EXPECT_EQ((*tokenizer)->encode(input, {.add_special = false, .parse_special = false}), read_ids(line)) << input;
  }
}

INSTANTIATE_TEST_SUITE_P(Gguf, VocabularyCases, testing::Values("llama-spm", "phi-3", "gpt-2", "deepseek-coder"),
                         [](const auto& name) {
                           std::string text = name.param;
                           std::replace(text.begin(), text.end(), '-', '_');
                           return text;
                         });

}  // namespace
}  // namespace strata
