// Whole runs of a tiny model on a tiny corpus, in a folder of their own.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/read_file.h"
#include "learn/train/run.h"

namespace strata {

namespace fs = std::filesystem;

class RunFixture : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("run_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream text(folder_ / "text.txt");
    for (int i = 0; i < 120; ++i)
      text << "The king said to his " << (i % 3 == 0 ? "daughter" : "son") << ": go " << i << "!\n\n";
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::string recipe(const std::string& model = "architecture: LlamaForCausalLM") {
    return "model: {" + model +
           ", hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4, "
           "num_key_value_heads: 2}\n"
           "tokenizer: {vocab: 290}\n"
           "data: {paths: text.txt, validation: 0.1, block_bytes: 1024, shuffle_blocks: 2}\n"
           "optimizer: {average: 0.9}\n"
           "schedule: {peak: 1e-2, steps: 12, warmup_steps: 2}\n"
           "run: {seed: 3, context: 24, batch_tokens: 128, micro_tokens: 64, checkpoint_every: 5, validate_every: 6}\n";
  }

  Result<RunResult> run(const std::string& text, const std::string& out, bool resumes = false, int threads = 2,
                        const std::function<void(const RunProgress&)>& on_step = {}, uint64_t memory = 0) {
    ThreadPool pool(threads);
    const Result<Recipe> recipe = parse_recipe(text, folder_);
    if (!recipe.ok()) return recipe.status();
    RunOptions options;
    options.out = folder_ / out;
    options.resumes = resumes;
    options.memory = memory;
    options.on_step = on_step;
    options.on_message = [&](const std::string& line) { said_ += line + "\n"; };
    return run_training(*recipe, *find_cpu_kernels(), pool, options);
  }

  // A run that ends after `step`, as a kill would end it: in a process of its own.
  void run_until(const std::string& text, const std::string& out, int64_t step, bool resumes, int threads) {
    EXPECT_EXIT(
        {
          const auto ended = run(text, out, resumes, threads, [&](const RunProgress& progress) {
            if (progress.now.step == step) std::_Exit(7);
          });
          std::fprintf(stderr, "%s\n", ended.status().message().c_str());
          std::_Exit(1);
        },
        testing::ExitedWithCode(7), "");
  }

  std::string bytes(const std::string& out, const std::string& file) { return *read_file(folder_ / out / file); }

  std::vector<nlohmann::json> log(const std::string& out) {
    std::istringstream in(bytes(out, "log.jsonl"));
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  fs::path folder_;
  std::string said_;
};

}  // namespace strata
