#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/settings.h"
#include "test_data.h"

namespace strata::cli {
namespace {

Invocation parse_words(std::vector<const char*> words) {
  words.insert(words.begin(), "strata");
  return parse(static_cast<int>(words.size()), words.data());
}

TEST(Parse, ReadsFlagsAndArguments) {
  const Invocation run = parse_words({"run", "model.gguf", "-p", "Once", "-n", "5", "--temp", "0.5", "--json"});
  ASSERT_NE(run.command, nullptr) << run.text;
  EXPECT_EQ(run.command->name, "run");
  EXPECT_EQ(run.arguments, std::vector<std::string>{"model.gguf"});
  EXPECT_EQ(run.settings.prompt, "Once");
  EXPECT_EQ(run.settings.n_tokens, 5);
  EXPECT_DOUBLE_EQ(run.settings.temperature, 0.5);
  EXPECT_TRUE(run.settings.json);
}

TEST(Parse, SizesHaveUnits) {
  const Invocation serve = parse_words({"serve", "m", "--kv-bytes", "2G"});
  ASSERT_NE(serve.command, nullptr) << serve.text;
  EXPECT_EQ(serve.settings.kv_bytes, uint64_t{2} << 30);
}

TEST(Parse, WrongUseIsStatusTwoAndOneLine) {
  const std::vector<std::vector<const char*>> wrong = {{"nothing"},
                                                       {"run"},
                                                       {"run", "m", "--nope"},
                                                       {"run", "m", "-n", "many"},
                                                       {"run", "m", "-n", "-1"},
                                                       {"serve", "m", "--port", "70000"},
                                                       {"run", "m", "--temp", "nan"},
                                                       {"serve", "m", "--kv-bytes", "99999999999999999999"}};
  for (const auto& words : wrong) {
    const Invocation invocation = parse_words(words);
    EXPECT_EQ(invocation.command, nullptr) << words.back();
    EXPECT_EQ(invocation.exit_status, 2) << words.back();
    EXPECT_EQ(invocation.text.rfind("strata: error: ", 0), 0U) << invocation.text;
    EXPECT_EQ(std::count(invocation.text.begin(), invocation.text.end(), '\n'), 1) << invocation.text;
  }
}

TEST(Parse, HelpIsStatusZero) {
  for (const std::vector<const char*>& words : {std::vector<const char*>{"help"}, {"help", "serve"}, {"--version"}}) {
    const Invocation invocation = parse_words(words);
    EXPECT_EQ(invocation.command, nullptr);
    EXPECT_EQ(invocation.exit_status, 0);
    EXPECT_FALSE(invocation.text.empty());
  }
}

class Precedence : public testing::Test {
 protected:
  void SetUp() override {
    file_ = std::filesystem::temp_directory_path() / ("strata-config-" + std::to_string(::getpid()) + ".yaml");
  }
  void TearDown() override {
    std::filesystem::remove(file_);
    ::unsetenv("STRATA_PORT");
  }
  void write(const std::string& text) const { std::ofstream(file_) << text; }
  std::filesystem::path file_;
};

TEST_F(Precedence, FlagThenEnvironmentThenFileThenDefault) {
  write("port: 1111\nhost: 0.0.0.0\n");
  const std::string file = file_.string();
  EXPECT_EQ(parse_words({"serve", "m"}).settings.port, 8080);
  EXPECT_EQ(parse_words({"serve", "m", "--config", file.c_str()}).settings.port, 1111);
  EXPECT_EQ(parse_words({"serve", "m", "--config", file.c_str()}).settings.host, "0.0.0.0");
  ::setenv("STRATA_PORT", "2222", 1);
  EXPECT_EQ(parse_words({"serve", "m", "--config", file.c_str()}).settings.port, 2222);
  EXPECT_EQ(parse_words({"serve", "m", "--config", file.c_str(), "--port", "3333"}).settings.port, 3333);
}

TEST_F(Precedence, FileErrorsNameTheKey) {
  const std::string file = file_.string();
  write("prot: 1\n");
  EXPECT_NE(parse_words({"serve", "m", "--config", file.c_str()}).text.find("prot"), std::string::npos);
  write("port: [1, 2]\n");
  EXPECT_NE(parse_words({"serve", "m", "--config", file.c_str()}).text.find("port"), std::string::npos);
  write("port: {\n");
  EXPECT_EQ(parse_words({"serve", "m", "--config", file.c_str()}).exit_status, 2);
}

TEST(Options, DocumentIsWhatTheTableSays) {
  EXPECT_EQ(test::read_text(test::source_dir() / "docs/options.md"), options_markdown())
      << "run: strata help --markdown > docs/options.md";
}

}  // namespace
}  // namespace strata::cli
