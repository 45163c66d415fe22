// Tokenizers of random steps (normalizers, pre-tokenizers, decoders, added tokens) around small vocabularies of every
// model, and what Hugging Face's tokenizers make of strange texts: tests/data/tokenizer_steps.jsonl, written by
// bench/model/text/tokenizer_compare.py --store, which also compares many more without storing them.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "model/text/load_tokenizer.h"
#include "test_data.h"

namespace strata {
namespace {

std::string by_steps(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  IncrementalDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

TEST(TokenizerSteps, EqualHuggingFace) {
  std::istringstream lines(test::read_text(test::source_dir() / "tests" / "data" / "tokenizer_steps.jsonl"));
  int n_tokenizers = 0;
  for (std::string line; std::getline(lines, line); ++n_tokenizers) {
    const auto entry = nlohmann::json::parse(line);
    const auto tokenizer = tokenizer_from_json(entry["document"].dump());
    ASSERT_TRUE(tokenizer.ok()) << "line " << n_tokenizers + 1 << ": " << tokenizer.status().message();
    for (const auto& given : entry["cases"]) {
      const std::string text = given["text"];
      const std::vector<TokenId> ids = (*tokenizer)->encode(text);
      EXPECT_EQ(ids, given["ids"].get<std::vector<TokenId>>()) << "line " << n_tokenizers + 1 << ": " << text;
      EXPECT_EQ((*tokenizer)->decode(ids), given["plain"].get<std::string>()) << "line " << n_tokenizers + 1;
      EXPECT_EQ(by_steps(**tokenizer, ids), given["plain"].get<std::string>()) << "line " << n_tokenizers + 1;
    }
  }
  EXPECT_GE(n_tokenizers, 15);
}

}  // namespace
}  // namespace strata
