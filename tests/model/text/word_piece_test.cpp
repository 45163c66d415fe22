#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

json bert_document() {
  json document;
  document["model"] = {{"type", "WordPiece"},
                       {"unk_token", "[UNK]"},
                       {"continuing_subword_prefix", "##"},
                       {"max_input_chars_per_word", 10},
                       {"vocab",
                        {{"[UNK]", 0},
                         {"[CLS]", 1},
                         {"[SEP]", 2},
                         {"un", 3},
                         {"##aff", 4},
                         {"##able", 5},
                         {"##a", 6},
                         {"naive", 7},
                         {",", 8},
                         {"#", 9},
                         {"\u4F60", 10},
                         {"n", 11},
                         {"'", 12},
                         {"t", 13}}}};
  document["normalizer"] = {{"type", "BertNormalizer"}, {"lowercase", true}};
  document["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  document["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  document["post_processor"] = {{"type", "BertProcessing"}, {"sep", {"[SEP]", 2}}, {"cls", {"[CLS]", 1}}};
  document["added_tokens"] = {{{"id", 1}, {"content", "[CLS]"}, {"special", true}},
                              {{"id", 2}, {"content", "[SEP]"}, {"special", true}}};
  return document;
}

std::unique_ptr<Tokenizer> make(const json& document) {
  auto tokenizer = tokenizer_from_json(document.dump());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

using Ids = std::vector<TokenId>;
constexpr EncodeOptions kBare{.add_special = false};

TEST(WordPiece, TakesTheLongestPieceFirst) {
  const auto tokenizer = make(bert_document());
  EXPECT_EQ(tokenizer->encode("unaffable", kBare), (Ids{3, 4, 5}));
  EXPECT_EQ(tokenizer->encode("unaff una", kBare), (Ids{3, 4, 3, 6}));
  EXPECT_EQ(tokenizer->encode("unaffx", kBare), Ids{0}) << "a word that is not used up is unknown as a whole";
  EXPECT_EQ(tokenizer->encode("able", kBare), Ids{0}) << "## only goes on";
  EXPECT_EQ(tokenizer->encode("unaaaaaaaa", kBare), (Ids{3, 6, 6, 6, 6, 6, 6, 6, 6}));
  EXPECT_EQ(tokenizer->encode("unaaaaaaaaa", kBare), Ids{0}) << "longer than max_input_chars_per_word";
}

TEST(WordPiece, NormalizesAsBertDoes) {
  const auto tokenizer = make(bert_document());
  EXPECT_EQ(tokenizer->encode("NA\u00CFVE, nai\u0308ve", kBare), (Ids{7, 8, 7}));
  EXPECT_EQ(tokenizer->encode("un\u4F60un##", kBare), (Ids{3, 10, 3, 9, 9}));
  EXPECT_EQ(tokenizer->encode("u\u200Bn\u00A0un\tun\uFFFD", kBare), (Ids{3, 3, 3}));
  EXPECT_EQ(tokenizer->encode("un\xFF"
                              "aff",
                              kBare),
            (Ids{3, 4}))
      << "ill-formed bytes are dropped like U+FFFD";
}

TEST(WordPiece, FramesOneTextAndTwo) {
  const auto tokenizer = make(bert_document());
  EXPECT_EQ(tokenizer->encode("un naive"), (Ids{1, 3, 7, 2}));
  const FramedTokens one = tokenizer->frame({3, 7});
  EXPECT_EQ(one.ids, (Ids{1, 3, 7, 2}));
  EXPECT_EQ(one.segments, (std::vector<int32_t>{0, 0, 0, 0}));
  const FramedTokens two = tokenizer->frame_pair({3, 7}, {8});
  EXPECT_EQ(two.ids, (Ids{1, 3, 7, 2, 8, 2}));
  EXPECT_EQ(two.segments, (std::vector<int32_t>{0, 0, 0, 0, 1, 1}));

  json roberta = bert_document();
  roberta["post_processor"]["type"] = "RobertaProcessing";
  const FramedTokens pair = make(roberta)->frame_pair({3}, {8});
  EXPECT_EQ(pair.ids, (Ids{1, 3, 2, 2, 8, 2}));
  EXPECT_EQ(pair.segments, (std::vector<int32_t>{0, 0, 0, 0, 0, 0}));
}

TEST(WordPiece, FramesByTemplate) {
  json document = bert_document();
  const auto token = [](const char* name, int type) {
    return json{{"SpecialToken", {{"id", name}, {"type_id", type}}}};
  };
  const auto text = [](const char* name, int type) { return json{{"Sequence", {{"id", name}, {"type_id", type}}}}; };
  document["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", {token("[CLS]", 0), text("A", 0)}},
                                {"pair", {text("B", 3), token("[SEP]", 1), text("A", 2)}},
                                {"special_tokens", {{"[CLS]", {{"ids", {1, 1}}}}, {"[SEP]", {{"ids", {2}}}}}}};
  const auto tokenizer = make(document);
  EXPECT_EQ(tokenizer->encode("un"), (Ids{1, 1, 3}));
  EXPECT_EQ(tokenizer->frame_pair({3}, {8, 9}).ids, (Ids{8, 9, 2, 3}));
  EXPECT_EQ(tokenizer->frame_pair({3}, {8, 9}).segments, (std::vector<int32_t>{3, 3, 1, 2}));
  document.erase("post_processor");
  EXPECT_EQ(make(document)->frame_pair({3}, {8, 9}).segments, (std::vector<int32_t>{0, 1, 1}));
}

TEST(WordPiece, DecodesWithoutSpacesBeforeMarks) {
  const auto tokenizer = make(bert_document());
  EXPECT_EQ(tokenizer->decode({1, 3, 4, 5, 8, 7, 2}), "unaffable, naive");
  EXPECT_EQ(tokenizer->decode({1, 3, 4, 2}, true), "[CLS] unaff [SEP]");
  EXPECT_EQ(tokenizer->decode({4, 3}), "##aff un") << "nothing is dropped from the first token";
  json plain = bert_document();
  plain["decoder"]["cleanup"] = false;
  EXPECT_EQ(make(plain)->decode({3, 8, 7}), "un , naive");
  plain.erase("decoder");
  EXPECT_EQ(make(plain)->decode({3, 4, 7}), "un ##aff naive");
}

TEST(WordPiece, ReadsTheSpellingOfGgufFiles) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto file = GgufFile::open(test::shared_data() / "tokenizers" / "ggml-vocab-bert-bge.gguf");
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto tokenizer = tokenizer_from_gguf(*file);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->encode("Hello, world!"), (Ids{101, 7592, 1010, 2088, 999, 102}));
  EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode("unaffable worlds")), "unaffable worlds");
  const FramedTokens pair = (*tokenizer)->frame_pair({7592}, {2088, 999});
  EXPECT_EQ(pair.ids, (Ids{101, 7592, 102, 2088, 999, 102}));
  EXPECT_EQ(pair.segments, (std::vector<int32_t>{0, 0, 0, 1, 1, 1}));
}

}  // namespace
}  // namespace strata
