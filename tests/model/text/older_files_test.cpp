// Folders without tokenizer.json: SentencePiece models, tiktoken ranks, GPT-2's two files, BERT's list of words.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "model/text/load_tokenizer.h"
#include "model/text/sentence_piece_file.h"
#include "model/text/vocabulary_files.h"
#include "test_data.h"

namespace strata {
namespace {

using Ids = std::vector<TokenId>;

class OlderFiles : public testing::Test {
 protected:
  void SetUp() override {
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = std::filesystem::temp_directory_path() / ("strata-older-" + name + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void put(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::unique_ptr<Tokenizer> load() {
    auto tokenizer = tokenizer_from_folder(folder_);
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
  }
  std::filesystem::path folder_;
};

TEST_F(OlderFiles, SentencePieceModel) {
  STRATA_REQUIRE_DATA("tokenizers");
  put("tokenizer.model", test::read_text(test::shared_data() / "tokenizers/llama2-spm/tokenizer.model"));
  const auto tokenizer = load();
  EXPECT_EQ(tokenizer->encode("Hello world"), (Ids{1, 15043, 3186}));
  EXPECT_EQ(tokenizer->decode({1, 15043, 3186}), "Hello world");
  put("tokenizer_config.json", R"({"add_bos_token": false, "add_eos_token": true, "eos_token": "</s>"})");
  EXPECT_EQ(load()->encode("Hello world"), (Ids{15043, 3186, 2}));
}

TEST_F(OlderFiles, TiktokenRanks) {
  STRATA_REQUIRE_DATA("tokenizers");
  put("qwen.tiktoken", test::read_text(test::shared_data() / "tokenizers/qwen/qwen.tiktoken"));
  const auto tokenizer = load();
  EXPECT_EQ(tokenizer->encode("<|im_start|>Hello world 12"), (Ids{151644, 9707, 1879, 220, 16, 17}));
  EXPECT_EQ(tokenizer->decode({9707, 1879}), "Hello world");
}

TEST_F(OlderFiles, VocabularyAndMerges) {
  STRATA_REQUIRE_DATA("tokenizers");
  for (const char* name : {"encoder.json", "vocab.bpe"}) {
    put(name, test::read_text(test::shared_data() / "tokenizers/llama3" / name));
  }
  EXPECT_EQ(load()->encode("Hello world 123"), (Ids{128000, 9906, 1917, 220, 4513}));
}

TEST_F(OlderFiles, WordPieces) {
  put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n##s\n");
  const auto tokenizer = load();
  EXPECT_EQ(tokenizer->encode("Hello WORLDS x"), (Ids{2, 4, 5, 6, 1, 3}));
  put("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_EQ(load()->encode("Hello worlds"), (Ids{2, 1, 5, 6, 3}));
}

TEST_F(OlderFiles, ReasonsOfBadFiles) {
  EXPECT_EQ(tokenizer_from_folder(folder_).status().code(), Code::kNotFound);
  EXPECT_NE(tokenizer_spec_from_sentence_piece("\x0A\xFF").status().message().find("damaged"), std::string::npos);
  EXPECT_FALSE(looks_like_ranks("hello\n"));
  const auto few = tokenizer_spec_from_ranks("YQ== 0\nYg== 1\n");
  EXPECT_NE(few.status().message().find("a vocabulary of 2 tokens is not known"), std::string::npos);
  EXPECT_NE(tokenizer_spec_from_ranks("YQ== 0\nYg==\n").status().message().find("line 2"), std::string::npos);
  EXPECT_FALSE(tokenizer_spec_from_merges("[]", "a b\n").ok());
}

}  // namespace
}  // namespace strata
