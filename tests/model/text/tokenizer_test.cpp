#include "model/text/tokenizer.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "model/format/gguf.h"
#include "model/text/byte_alphabet.h"
#include "model/text/load_tokenizer.h"
#include "model/text/utf8.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

// All bytes, two merges and a few added tokens.
json byte_level_document() {
  json document;
  json vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary[spell_bytes(std::string(1, static_cast<char>(byte)))] = byte;
  vocabulary["he"] = 256;
  vocabulary["hel"] = 257;
  document["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"h e", "he l"}}};
  document["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  document["decoder"] = {{"type", "ByteLevel"}};
  document["added_tokens"] = {
      {{"id", 258}, {"content", "<|im_start|>"}, {"special", true}},
      {{"id", 259}, {"content", "<|im_end|>"}, {"special", true}, {"rstrip", true}},
      {{"id", 260}, {"content", "<tool>"}, {"special", false}, {"normalized", false}, {"lstrip", true}},
      {{"id", 261}, {"content", "<|im_start|>x"}, {"special", true}}};
  return document;
}

std::unique_ptr<Tokenizer> make(const json& document, const json& config = json()) {
  auto tokenizer = tokenizer_from_json(document.dump(), config.is_null() ? "" : config.dump());
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

std::unique_ptr<Tokenizer> stories() {
  const auto file = GgufFile::open(test::shared_data() / "models" / "stories260k.gguf");
  auto tokenizer = tokenizer_from_gguf(*file);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  return *std::move(tokenizer);
}

std::string push_all(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool special, TextStart start) {
  IncrementalDecoder decoder(tokenizer, special, start);
  std::string text;
  for (const TokenId id : ids) {
    const std::string step = decoder.push(id);
    std::string checked;
    append_well_formed(checked, step);
    EXPECT_EQ(checked, step);
    text += step;
  }
  return text + decoder.finish();
}

void expect_incremental_equals_whole(const Tokenizer& tokenizer) {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::vector<TokenId> ids;
    for (size_t n = random() % 20; n > 0; --n)
      ids.push_back(static_cast<TokenId>(random() % (tokenizer.vocab_size() + 2)) - 1);
    const bool special = round % 2 == 0;
    ASSERT_EQ(push_all(tokenizer, ids, special, TextStart::kBeginning), tokenizer.decode(ids, special));
  }
}

TEST(Tokenizer, IncrementalDecodingOfBytesEqualsDecode) {
  expect_incremental_equals_whole(*make(byte_level_document()));
}

TEST(Tokenizer, IncrementalDecodingOfSentencePieceEqualsDecode) {
  STRATA_REQUIRE_DATA("models");
  expect_incremental_equals_whole(*stories());
}

TEST(Tokenizer, HoldsBackHalfACharacter) {
  const auto tokenizer = make(byte_level_document());
  IncrementalDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.push(0xE2), "");
  EXPECT_EQ(decoder.push(0x82), "");
  EXPECT_EQ(decoder.push(0xAC), "€");
  EXPECT_EQ(decoder.push(0xF0), "");
  EXPECT_EQ(decoder.push('a'),
            "\uFFFD"
            "a");
  EXPECT_EQ(decoder.push(0xC3), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
}

TEST(Tokenizer, DropsTheDummySpaceOnlyAtTheBeginning) {
  STRATA_REQUIRE_DATA("models");
  const auto tokenizer = stories();
  const std::vector<TokenId> ids = tokenizer->encode("Once upon", {.add_special = false});
  EXPECT_EQ(tokenizer->decode(ids), "Once upon");
  EXPECT_EQ(push_all(*tokenizer, ids, false, TextStart::kAfterOthers), " Once upon");
}

TEST(Tokenizer, AnyBytesComeBack) {
  STRATA_REQUIRE_DATA("models");
  const auto pieces = stories();
  const auto bytes = make(byte_level_document());
  std::mt19937 random(6);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (size_t n = random() % 60; n > 0; --n) text += static_cast<char>(random() % 3 ? 'a' + random() % 26 : random());
    for (const Tokenizer* tokenizer : {pieces.get(), bytes.get()}) {
      std::string back;
      for (const TokenId id : tokenizer->encode(text, {.add_special = false})) back += tokenizer->piece(id);
      ASSERT_EQ(back, (tokenizer == pieces.get() && !text.empty() ? " " : "") + text);
    }
  }
}

// Texts that make careless tokenizers quadratic.
TEST(Tokenizer, LongMonotonousTexts) {
  STRATA_REQUIRE_DATA("models");
  const auto pieces = stories();
  const auto bytes = make(byte_level_document());
  std::mt19937 random(8);
  std::string noise;
  for (int i = 0; i < 400000; ++i) noise += static_cast<char>(random());
  for (const std::string& text : {std::string(400000, 'l'), std::string(400000, ' '), std::string(400000, '\n'),
                                  std::string(400000, ' ') + "x", std::string(400000, '\''), noise}) {
    for (const Tokenizer* tokenizer : {pieces.get(), bytes.get()}) {
      std::string back;
      for (const TokenId id : tokenizer->encode(text, {.add_special = false})) back += tokenizer->piece(id);
      ASSERT_EQ(back.size(), text.size() + (tokenizer == pieces.get() ? 1 : 0));
    }
  }
}

TEST(Tokenizer, SpecialTokensAreFoundOnlyWhereAllowed) {
  const auto tokenizer = make(byte_level_document());
  EXPECT_EQ(tokenizer->encode("<|im_start|>h"), (std::vector<TokenId>{258, 'h'}));
  EXPECT_EQ(tokenizer->encode("<|im_start|>x"), std::vector<TokenId>{261}) << "the longest counts";
  EXPECT_EQ(tokenizer->encode("a<|im_end|> \nb"), (std::vector<TokenId>{'a', 259, 'b'})) << "rstrip";
  EXPECT_EQ(tokenizer->encode("a <tool>"), (std::vector<TokenId>{'a', 260})) << "lstrip";
  const std::vector<TokenId> as_text = tokenizer->encode("<|im_start|><tool>", {.parse_special = false});
  EXPECT_EQ(as_text.size(), std::string("<|im_start|>").size() + 1) << "added tokens that are not special still count";
  EXPECT_EQ(tokenizer->decode({258, 257, 260}), "hel<tool>");
  EXPECT_EQ(tokenizer->decode({258, 257, 260}, true), "<|im_start|>hel<tool>");
  EXPECT_TRUE(tokenizer->is_special(258));
  EXPECT_FALSE(tokenizer->is_special(260));
  EXPECT_EQ(tokenizer->find("<tool>"), 260);
  EXPECT_EQ(tokenizer->find("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer->piece(99999), "");
  EXPECT_EQ(tokenizer->end_of_generation(), std::vector<TokenId>{259});
}

TEST(Tokenizer, ConfigSaysWhatGoesAround) {
  const json names = {{"bos_token", "<|im_start|>"}, {"eos_token", {{"content", "<|im_end|>"}}}};
  json both = names;
  both.update({{"add_bos_token", true}, {"add_eos_token", true}});
  const auto with = make(byte_level_document(), both);
  EXPECT_EQ(with->encode("h"), (std::vector<TokenId>{258, 'h', 259}));
  EXPECT_EQ(with->encode("h", {.add_special = false}), std::vector<TokenId>{'h'});
  EXPECT_EQ(with->bos(), 258);
  EXPECT_EQ(with->eos(), 259);

  json document = byte_level_document();
  document["post_processor"] = {
      {"type", "TemplateProcessing"},
      {"single", {{{"SpecialToken", {{"id", "<|im_start|>"}}}}, {{"Sequence", {{"id", "A"}}}}}},
      {"special_tokens", {{"<|im_start|>", {{"id", "<|im_start|>"}, {"ids", {258}}}}}}};
  EXPECT_EQ(make(document)->encode("h"), (std::vector<TokenId>{258, 'h'}));
  EXPECT_EQ(make(document)->bos(), 258);
  json without = names;
  without["add_bos_token"] = false;
  EXPECT_EQ(make(document, without)->encode("h"), std::vector<TokenId>{'h'});
}

TEST(Tokenizer, GgufEndsOfGeneration) {
  STRATA_REQUIRE_DATA("tokenizers");
  const auto file = GgufFile::open(test::shared_data() / "tokenizers" / "ggml-vocab-phi-3.gguf");
  const auto tokenizer = tokenizer_from_gguf(*file);
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ((*tokenizer)->end_of_generation(), (std::vector<TokenId>{2, 32000, 32007}));  // </s> <|endoftext|> <|end|>
  EXPECT_EQ((*tokenizer)->bos(), 1);
  EXPECT_EQ((*tokenizer)->encode("<|user|> \nHi<|end|>"), (std::vector<TokenId>{1, 32010, 6324, 32007}));
}

TEST(Tokenizer, BadDocumentsNameTheField) {
  const auto changed = [](const std::string& pointer, const json& value) {
    json document = byte_level_document();
    document[json::json_pointer(pointer)] = value;
    return document.dump();
  };
  json without_vocabulary = byte_level_document();
  without_vocabulary["model"].erase("vocab");
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "tokenizer.json: not JSON"},
      {"[]", "tokenizer.json: model: missing"},
      {"{\"model\": 3}", "tokenizer.json: model.vocab: missing"},
      {without_vocabulary.dump(), "tokenizer.json: model.vocab: missing"},
      {changed("/model/type", "Bigram"), "tokenizer.json: model: model type 'Bigram' is not supported (known: BPE, "},
      {changed("/model/type", "Unigram"), "tokenizer.json: model.vocab: expected a list"},
      {changed("/model/vocab", 5), "tokenizer.json: model.vocab: expected an object"},
      {changed("/model/vocab", json::object()), "tokenizer.json: model.vocab: empty"},
      {changed("/model/vocab/a", "x"), "tokenizer.json: model.vocab: the id of 'a' is no integer"},
      {changed("/model/vocab/a", 4000000000u), "id 4000000000 of 'a' is negative or far beyond"},
      {changed("/model/vocab/a", -1), "id -1 of 'a' is negative"},
      {changed("/model/vocab/a", 5), "id 5 is given twice"},
      {changed("/model/merges", "x"), "tokenizer.json: model.merges: expected a list"},
      {changed("/model/merges/1", "he"), "tokenizer.json: model.merges[1]: expected two spellings"},
      {changed("/model/merges/1", "h z"), "tokenizer.json: model.merges[1]: the token 'hz' is not in the vocabulary"},
      {changed("/model/byte_fallback", "yes"), "tokenizer.json: model.byte_fallback: expected true or false"},
      {changed("/added_tokens/1/content", 7), "tokenizer.json: added_tokens[1].content: expected a string"},
      {changed("/added_tokens/1/id", 99999999), "tokenizer.json: added_tokens[1]: id 99999999"},
      {changed("/normalizer", {{"type", "Precompiled"}}), "tokenizer.json: normalizer.precompiled_charsmap: missing"},
      {changed("/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAAAAA=="}}), "map is damaged"},
      {changed("/normalizer", {{"type", "Upper"}}), "normalizer 'Upper' is not supported (known: Sequence, NFC"},
      {changed("/pre_tokenizer", {{"type", "Sentences"}}), "pre-tokenizer 'Sentences' is not supported (known: Seq"},
      {changed("/pre_tokenizer", {{"type", "FixedLength"}, {"length", 0}}), "pre_tokenizer: length: expected a number"},
      {changed("/decoder", {{"type", "Strip"}, {"content", "ab"}}), "decoder: content: expected one character"},
      {changed("/post_processor", {{"type", "Xyz"}}), "post-processor 'Xyz' is not supported (known: Sequence, "},
      {changed("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "("}}}}),
       "tokenizer.json: pre_tokenizer.pattern.Regex: the expression cannot be compiled"},
      {changed("/decoder", json::array()), "tokenizer.json: decoder.type: missing"},
      {changed("/post_processor", {{"type", "TemplateProcessing"}}), "tokenizer.json: post_processor.single: missing"},
  };
  for (const auto& [document, message] : cases) {
    const auto tokenizer = tokenizer_from_json(document);
    ASSERT_FALSE(tokenizer.ok()) << message;
    EXPECT_EQ(tokenizer.status().code(), Code::kInvalidArgument);
    EXPECT_NE(tokenizer.status().message().find(message), std::string::npos) << tokenizer.status().message();
  }
}

TEST(Tokenizer, LoadsFromACheckpoint) {
  STRATA_REQUIRE_DATA("models");
  const auto gguf = Checkpoint::open(test::shared_data() / "models" / "stories260k.gguf");
  ASSERT_TRUE(gguf.ok()) << gguf.status().message();
  const auto tokenizer = load_tokenizer(*gguf);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  EXPECT_EQ((*tokenizer)->vocab_size(), 512);
  EXPECT_EQ((*tokenizer)->encode("Once").front(), 1);

  STRATA_REQUIRE_DATA("golden-arch/llama");
  const auto folder = Checkpoint::open(test::shared_data() / "golden-arch" / "llama");
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  const auto missing = load_tokenizer(*folder);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_NE(missing.status().message().find("has no tokenizer (give tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace strata
