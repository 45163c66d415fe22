// Texts that a student writes while it is trained, and what is learnt from them.
#include "learn/train/on_policy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "learn/train/run_checkpoint.h"
#include "learn/train/run_model.h"
#include "learn/train/teacher.h"
#include "model/model.h"
#include "run_fixture.h"

namespace strata {
namespace {

constexpr int64_t kTokens = 96, kContext = 24, kPrompt = 4, kNew = 12;

class OnPolicyTest : public RunFixture {
 protected:
  // A teacher's folder, which is the student's base too; then all that a step needs.
  void begin(const std::string& model, double share = 0.7) {
    ASSERT_TRUE(run(recipe(model), "teacher").ok());
    Result<Recipe> read = parse_recipe(
        "model: {base: teacher}\ndata: {paths: text.txt}\ndistill: {teacher: teacher, on_policy: " +
            std::to_string(share) + ", prompt_tokens: 4, max_new_tokens: 12, divergence: reverse}\nrun: {context: 24}\n",
        folder_);
    ASSERT_TRUE(read.ok()) << read.status().message();
    recipe_ = *read;
    corpus_ = std::make_unique<Corpus>(*Corpus::open(recipe_.corpus));
    auto folder = RunFolder::open(folder_ / "student");
    ASSERT_TRUE(folder.ok());
    Result<RunModel> prepared = prepare_model(recipe_, *corpus_, *folder, pool_);
    ASSERT_TRUE(prepared.ok()) << prepared.status().message();
    model_ = std::make_unique<RunModel>(*std::move(prepared));
    std::ofstream(folder->file("config.json")) << model_->config;
    on_policy_ = *OnPolicy::make(recipe_.distillation->on_policy, {1, kTokens, kContext}, 5);
    stream_ = *DocumentStream::open(*corpus_, *model_->tokenizer, pool_, {});
  }

  void make_trainer(Precision precision = Precision::kFp32) {
    TrainerOptions options;
    options.max_tokens = kTokens;
    options.precision = precision;
    options.distillation = recipe_.distillation;
    options.writes = on_policy_->limits(model_->built.config);
    auto made = Trainer::make(model_->built.graph, model_->parameters, *find_cpu_kernels(), pool_, options);
    ASSERT_TRUE(made.ok()) << made.status().message();
    trainer_ = *std::move(made);
  }

  // What is written at a step from the corpus' first documents on, with the corpus before it.
  PackedBatch written(Runner& runner, int64_t step) {
    stream_ = *DocumentStream::open(*corpus_, *model_->tokenizer, pool_, {});
    const Status status = on_policy_->write(runner, *model_->tokenizer, *stream_, step);
    EXPECT_TRUE(status.ok()) << status.message();
    PackedBatch batch;
    EXPECT_TRUE(batch.fill(*stream_, on_policy_->corpus_tokens(), kContext).ok());
    on_policy_->add_to(batch, 0);
    return batch;
  }

  double train(const PackedBatch& batch, double rate) {
    Batch part = batch.batch();
    part.target_total = static_cast<double>(batch.n_targets());
    part.token_total = static_cast<double>(batch.n_tokens());
    auto teacher = Teacher::open(*recipe_.distillation, *model_->tokenizer, model_->built.config.vocab,
                                 *find_cpu_kernels(), pool_, kTokens);
    EXPECT_TRUE(teacher.ok());
    (*teacher)->teach(part);
    part.teacher_shares = on_policy_->shares(batch, recipe_.distillation->weight);
    trainer_->begin(1);
    const double loss = trainer_->accumulate(part);
    trainer_->apply(rate, trainer_->gradient_norm());
    return loss;
  }

  static std::vector<int32_t> ids(const PackedBatch& batch) {
    const Batch all = batch.batch();
    return {all.ids.begin(), all.ids.end()};
  }

  ThreadPool pool_{2};
  Recipe recipe_;
  std::unique_ptr<Corpus> corpus_;
  std::unique_ptr<RunModel> model_;
  std::optional<OnPolicy> on_policy_;
  std::optional<DocumentStream> stream_;
  std::unique_ptr<Trainer> trainer_;
};

TEST_F(OnPolicyTest, TheStudentGoesOnFromTheBeginningsOfPieces) {
  ASSERT_NO_FATAL_FAILURE(begin("architecture: LlamaForCausalLM"));
  ASSERT_NO_FATAL_FAILURE(make_trainer());
  const PackedBatch batch = written(*trainer_->runner(), 1);
  DocumentStream pieces = *DocumentStream::open(*corpus_, *model_->tokenizer, pool_, {});
  const Batch all = batch.batch();
  ASSERT_GT(all.sequences(), 4);  // 0.7 * 96 / 16 texts, behind the corpus
  int64_t row = all.outputs() - batch.n_written();
  for (int64_t s = all.sequences() - 4; s < all.sequences(); ++s) {
    const auto begin = static_cast<size_t>(all.query_begin[static_cast<size_t>(s)]);
    const auto end = static_cast<size_t>(all.query_begin[static_cast<size_t>(s) + 1]);
    std::vector<TokenId> piece;
    while (piece.size() < 2) piece = *take_piece(pieces, kPrompt + kNew);
    const size_t n_prompt = std::min<size_t>(kPrompt, piece.size() - 1);
    for (size_t i = 0; i < n_prompt; ++i) EXPECT_EQ(all.ids[begin + i], piece[i]);
    EXPECT_LE(end - begin, n_prompt + kNew - 1);
    for (size_t i = begin + n_prompt - 1; i < end; ++i, ++row) {  // the prompt itself is no target
      EXPECT_EQ(all.output_rows[static_cast<size_t>(row)], static_cast<int32_t>(i));
      if (i + 1 < end) {
        EXPECT_EQ(all.targets[static_cast<size_t>(row)], all.ids[i + 1]);
      }
    }
  }
  EXPECT_EQ(row, all.outputs());
  const auto shares = on_policy_->shares(batch, 0.25);
  for (int64_t i = 0; i < all.outputs(); ++i)
    EXPECT_EQ(shares[static_cast<size_t>(i)], i < all.outputs() - batch.n_written() ? 0.25F : 1.0F);
}

// The same tokens as a model that was saved and loaded at that step writes; and others than before it.
TEST_F(OnPolicyTest, TheStudentWritesWithTheWeightsOfThatStep) {
  ASSERT_NO_FATAL_FAILURE(begin("architecture: LlamaForCausalLM"));
  ASSERT_NO_FATAL_FAILURE(make_trainer());
  const std::vector<int32_t> before = ids(written(*trainer_->runner(), 3));
  EXPECT_EQ(ids(written(*trainer_->runner(), 3)), before);
  EXPECT_NE(ids(written(*trainer_->runner(), 4)), before);
  for (int i = 0; i < 3; ++i) train(written(*trainer_->runner(), i), 0.03);
  const std::vector<int32_t> after = ids(written(*trainer_->runner(), 3));
  EXPECT_NE(after, before);

  ASSERT_TRUE(save_weights(folder_ / "student/model.safetensors", model_->parameters, *trainer_).ok());
  const auto saved = Model::load(folder_ / "student");
  ASSERT_TRUE(saved.ok()) << saved.status().message();
  RunnerOptions options;
  options.cache_type = DType::kF32;
  options.kv_bytes = 1 << 20;
  auto runner = ModelRunner::make(**saved, *find_cpu_kernels(), pool_, options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  EXPECT_EQ(ids(written(**runner, 3)), after);
}

TEST_F(OnPolicyTest, InBfloat16TheStudentWritesWithRoundedWeights) {
  ASSERT_NO_FATAL_FAILURE(begin("architecture: LlamaForCausalLM"));
  ASSERT_NO_FATAL_FAILURE(make_trainer(Precision::kBf16));
  const std::vector<int32_t> before = ids(written(*trainer_->runner(), 3));
  for (int i = 0; i < 3; ++i) train(written(*trainer_->runner(), i), 0.03);
  EXPECT_NE(ids(written(*trainer_->runner(), 3)), before);
}

// Means over what counts: an untrained exit's cross-entropy, and the balance of a router that knows nothing yet.
TEST_F(OnPolicyTest, ExitsAndBalanceAreMeans) {
  ASSERT_NO_FATAL_FAILURE(begin("architecture: MixtralForCausalLM, num_local_experts: 4, num_experts_per_tok: 2, exits: [0]"));
  for (Parameter& parameter : model_->parameters.all()) {
    const bool is_random = parameter.name.find("gate.weight") != std::string::npos || parameter.name == "exits.0.norm.weight";
    if (is_random) std::fill(parameter.values().begin(), parameter.values().end(), 0.0F);
  }
  ASSERT_NO_FATAL_FAILURE(make_trainer());
  const PackedBatch batch = written(*trainer_->runner(), 1);
  ASSERT_GT(batch.n_tokens(), batch.n_targets() + 5);
  train(batch, 0);
  EXPECT_NEAR(trainer_->metric("loss.exit.0")[0], std::log(290.0), 1e-3);
  EXPECT_NEAR(trainer_->metric("balance")[0], 2, 1e-3);
}

TEST_F(OnPolicyTest, AShareWithoutRoomIsRefused) {
  const auto refused = [](double share, const OnPolicy::Sizes& sizes) {
    OnPolicyOptions options;
    options.share = share;
    return OnPolicy::make(options, sizes, 0).status().message();
  };
  EXPECT_NE(refused(0.5, {1, 4096, 100}).find("160 together, run.context is 100"), std::string::npos);
  EXPECT_NE(refused(0.5, {1, 256, 256}).find("leaves 128 of run.micro_tokens"), std::string::npos);
  EXPECT_EQ(refused(0.5, {1, 320, 256}), "");
}

}  // namespace
}  // namespace strata
