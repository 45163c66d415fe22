// The load of bench serve without a server: arrivals, prompts, traces, and what a report says about outcomes.
#include "cli/load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "cli/load_report.h"

namespace strata::cli {
namespace {

class TraceFile {
 public:
  explicit TraceFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / ("strata-trace-" + std::to_string(::getpid()))) {
    std::ofstream(path_) << text;
  }
  TraceFile(const TraceFile&) = delete;
  TraceFile& operator=(const TraceFile&) = delete;
  ~TraceFile() { std::filesystem::remove(path_); }
  Settings settings() const {
    Settings settings;
    settings.trace = path_.string();
    return settings;
  }

 private:
  std::filesystem::path path_;
};

int words(const LoadJob& job) {
  int sum = 0;
  for (const PromptPiece& piece : job.prompt) sum += piece.words;
  return sum;
}

TEST(Load, ArrivesByChanceAtTheRate) {
  Settings settings;
  settings.requests = 4000;
  settings.rate = 8;
  const auto jobs = make_load(settings);
  ASSERT_TRUE(jobs.ok());
  double squares = 0;
  for (size_t i = 1; i < jobs->size(); ++i) {
    const double gap = (*jobs)[i].at_s - (*jobs)[i - 1].at_s;
    ASSERT_GE(gap, 0);
    squares += gap * gap;
  }
  const double mean = jobs->back().at_s / 3999;
  EXPECT_NEAR(mean, 1 / 8.0, 0.01);
  EXPECT_NEAR(std::sqrt(squares / 3999 - mean * mean), mean, 0.02);  // exponential gaps: deviation = mean
  const auto again = make_load(settings);
  EXPECT_EQ(again->back().at_s, jobs->back().at_s);
  settings.seed = 1;
  EXPECT_NE(make_load(settings)->back().at_s, jobs->back().at_s);
}

TEST(Load, PromptsShareTheSystemPromptAndNothingElse) {
  Settings settings;
  settings.requests = 2;
  settings.prompt_words = 40;
  settings.system_words = 10;
  const auto jobs = make_load(settings);
  settings.seed = 7;
  const auto other = make_load(settings);
  const std::string system = prompt_text({(*jobs)[0].prompt[0]});
  const std::string first = prompt_text((*jobs)[0].prompt);
  const std::string second = prompt_text((*jobs)[1].prompt);
  EXPECT_EQ(std::count(first.begin(), first.end(), ' '), 49);
  EXPECT_EQ(first.substr(0, system.size()), system);
  EXPECT_EQ(second.substr(0, system.size()), system);
  EXPECT_EQ(prompt_text({(*other)[0].prompt[0]}), system);
  EXPECT_NE(first, second);
  EXPECT_NE(first, prompt_text((*other)[0].prompt));
  EXPECT_EQ(first, prompt_text((*jobs)[0].prompt));
}

TEST(Load, ReadsTracesWithTimestamps) {
  const TraceFile file(
      "TIMESTAMP,ContextTokens,GeneratedTokens\n"
      "2023-11-16 18:15:46.5000000,374,44\n"
      "2023-11-16 18:15:50.7500000,396,0\n"
      "2023-11-16 18:16:01.0000000,7000,900\n");
  Settings settings = file.settings();
  settings.time_scale = 2;
  settings.longest_prompt = 500;
  settings.longest_answer = 100;
  const auto jobs = read_trace(settings);
  ASSERT_TRUE(jobs.ok()) << jobs.status().message();
  ASSERT_EQ(jobs->size(), 3u);
  EXPECT_DOUBLE_EQ((*jobs)[0].at_s, 0);
  EXPECT_DOUBLE_EQ((*jobs)[1].at_s, 8.5);
  EXPECT_DOUBLE_EQ((*jobs)[2].at_s, 29);
  EXPECT_EQ(words((*jobs)[0]), 374);
  EXPECT_EQ((*jobs)[1].max_tokens, 1);
  EXPECT_EQ(words((*jobs)[2]), 500);
  EXPECT_EQ((*jobs)[2].max_tokens, 100);
  settings.requests = 2;
  EXPECT_EQ(read_trace(settings)->size(), 2u);
}

TEST(Load, HashesOfATraceAreSharedPrefixes) {
  const TraceFile file(
      R"({"timestamp": 1000, "input_length": 1030, "output_length": 5, "hash_ids": [0, 1, 2]})"
      "\n"
      R"({"timestamp": 1500, "input_length": 1500, "output_length": 6, "hash_ids": [0, 1, 3]})"
      "\n"
      R"({"timestamp": 1500, "input_length": 600, "output_length": 6, "hash_ids": [4, 1]})"
      "\n");
  const auto jobs = read_trace(file.settings());
  ASSERT_TRUE(jobs.ok()) << jobs.status().message();
  ASSERT_EQ(jobs->size(), 3u);
  EXPECT_DOUBLE_EQ((*jobs)[1].at_s, 0.5);
  EXPECT_EQ(words((*jobs)[0]), 1030);
  const std::string shared = prompt_text({(*jobs)[0].prompt[0], (*jobs)[0].prompt[1]});
  EXPECT_EQ(std::count(shared.begin(), shared.end(), ' '), 1023);
  EXPECT_EQ(prompt_text((*jobs)[1].prompt).substr(0, shared.size()), shared);
  EXPECT_NE(prompt_text({(*jobs)[1].prompt[2]}), prompt_text({(*jobs)[0].prompt[2]}));
  EXPECT_NE(prompt_text({(*jobs)[2].prompt[0]}), prompt_text({(*jobs)[0].prompt[0]}));
}

TEST(Load, BadTracesNameTheLine) {
  const char* const azure = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.5,374,44\n2023-11-16,3\n";
  const char* const mooncake =
      "{\"timestamp\": 1, \"input_length\": 3, \"output_length\": 1, \"hash_ids\": [0]}\n{\"timestamp\": 1}\n";
  for (const auto& [text, line] : {std::pair{azure, "line 3"}, std::pair{mooncake, "line 2"}}) {
    const TraceFile file(text);
    const auto jobs = read_trace(file.settings());
    ASSERT_FALSE(jobs.ok());
    EXPECT_NE(jobs.status().message().find(line), std::string::npos) << jobs.status().message();
  }
  EXPECT_FALSE(read_trace(Settings{}).ok());
  const TraceFile empty("TIMESTAMP,ContextTokens,GeneratedTokens\n");
  EXPECT_FALSE(read_trace(empty.settings()).ok());
}

TEST(LoadReport, PercentilesAreValuesThatOccurred) {
  const std::vector<double> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(percentile(values, 0.5), 5);
  EXPECT_EQ(percentile(values, 0.9), 9);
  EXPECT_EQ(percentile(values, 0.91), 10);
  EXPECT_EQ(percentile(values, 1), 10);
  EXPECT_EQ(percentile({}, 0.5), 0);
}

TEST(LoadReport, CountsFailuresGoodputAndTheBound) {
  std::vector<LoadOutcome> outcomes(5);
  for (LoadOutcome& o : outcomes) o = {200, "", 0, 0.5, 2, 100, 50, {0.01, 0.04, 0.02}};
  outcomes[1].total_s = 9;
  outcomes[2] = {429, "HTTP 429: busy", 0, 0, 0.01, 0, 0, {}};
  outcomes[3] = {200, "the stream ended early", 0, 0.5, 1, 0, 3, {}};
  outcomes[4] = {0, "refused", 0, 0, 1, 0, 0, {}};
  const auto report = load_report(outcomes, 10, {1, 5, 1000, 100});
  EXPECT_EQ(report["failures"], 3);
  EXPECT_EQ(report["statuses"], nlohmann::ordered_json({{"200", 2}, {"429", 1}, {"broken stream", 1}, {"no answer", 1}}));
  EXPECT_DOUBLE_EQ(report["output_tok_s"], 10);
  EXPECT_DOUBLE_EQ(report["goodput"]["requests"], 1);
  EXPECT_DOUBLE_EQ(report["goodput"]["output_tok_s"], 5);
  EXPECT_DOUBLE_EQ(report["e2e_ms"]["max"], 9000);
  EXPECT_DOUBLE_EQ(report["longest_gap_ms"]["p50"], 40);
  EXPECT_DOUBLE_EQ(report["rejected_ms"]["p99"], 10);
  EXPECT_NEAR(report["bound"]["output_tok_s"].get<double>(), 50 / (100 / 1000.0 + 50 / 100.0), 1e-9);
  EXPECT_NEAR(report["bound"]["fraction"].get<double>(), 10 / (50 / 0.6), 1e-9);
}

}  // namespace
}  // namespace strata::cli
