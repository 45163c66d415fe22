// What sentence-transformers' files say, and what is refused in them.
#include "model/format/sentence_transformers.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "test_data.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModules = R"([{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
  {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})";

class SentenceTransformers : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("strata_st_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "1_Pooling");
    const fs::path source = test::source_dir() / "tests/data/arch/distilbert";
    fs::copy(source / "config.json", folder_ / "config.json");
    fs::copy(source / "model.safetensors", folder_ / "model.safetensors");
  }
  void TearDown() override { fs::remove_all(folder_); }
  void write(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  Result<EmbeddingDefaults> read() {
    Result<Checkpoint> checkpoint = Checkpoint::open(folder_);
    if (!checkpoint.ok()) return checkpoint.status();
    return read_embedding_defaults(*checkpoint);
  }
  void expect_refused(const std::string& part) {
    const auto defaults = read();
    ASSERT_FALSE(defaults.ok());
    EXPECT_EQ(defaults.status().code(), Code::kInvalidArgument);
    EXPECT_NE(defaults.status().message().find(part), std::string::npos) << defaults.status().message();
  }
  fs::path folder_;
};

TEST_F(SentenceTransformers, WithoutFilesNothingIsSaid) {
  const auto defaults = read();
  ASSERT_TRUE(defaults.ok()) << defaults.status().message();
  EXPECT_FALSE(defaults->pooling || defaults->normalize || defaults->max_tokens);
}

TEST_F(SentenceTransformers, OldAndNewSpelling) {
  write("modules.json", std::string(kModules) + "]");
  write("sentence_bert_config.json", R"({"max_seq_length": 30})");
  write("1_Pooling/config.json", R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  auto defaults = read();
  ASSERT_TRUE(defaults.ok()) << defaults.status().message();
  EXPECT_EQ(defaults->pooling, Pooling::kFirst);
  EXPECT_EQ(defaults->normalize, false);
  EXPECT_EQ(defaults->max_tokens, 30);
  write("modules.json", std::string(kModules) + R"(, {"type": "sentence_transformers.models.Normalize"}])");
  write("1_Pooling/config.json", R"({"pooling_mode": "lasttoken"})");
  defaults = read();
  ASSERT_TRUE(defaults.ok()) << defaults.status().message();
  EXPECT_EQ(defaults->pooling, Pooling::kLast);
  EXPECT_EQ(defaults->normalize, true);
}

TEST_F(SentenceTransformers, WhatWouldGiveOtherVectorsIsRefused) {
  write("1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})");
  write("modules.json", std::string(kModules) + "]");
  expect_refused("pooling \"max\"");
  write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true})");
  expect_refused("mean+cls");
  write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  write("modules.json", std::string(kModules) + R"(, {"type": "sentence_transformers.models.Dense"}])");
  expect_refused("\"Dense\"");
}

TEST_F(SentenceTransformers, BrokenFilesAreNamed) {
  write("modules.json", R"([{"path": "../elsewhere", "type": "sentence_transformers.models.Pooling"}])");
  expect_refused("leaves the folder");
  write("modules.json", R"([{"path": "/etc", "type": "sentence_transformers.models.Pooling"}])");
  expect_refused("leaves the folder");
  write("modules.json", R"({"a": 1})");
  expect_refused("modules");
  write("modules.json", R"([5])");
  expect_refused("modules");
  fs::remove(folder_ / "modules.json");
  write("sentence_bert_config.json", R"({"max_seq_length": "long"})");
  expect_refused("max_seq_length");
  write("sentence_bert_config.json", R"({"max_seq_length": 0})");
  expect_refused("max_seq_length");
}

}  // namespace
}  // namespace strata
