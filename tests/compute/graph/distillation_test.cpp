// What a teacher's head says, and the loss of a student's head against it and its gradients, without [O, vocab].
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/thread_pool.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/add_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/quantize.h"
#include "compute/graph/plan/context.h"
#include "graph_builder.h"

namespace strata {
namespace {

constexpr int64_t kVocab = 150, kHidden = 24, kRows = 300;  // more than one block of each

struct Form {
  bool bias;
  double scale, bend;
};

// A head over looked-up rows: the student, or the teacher.
Builder head(const Form& form, uint32_t seed) {
  Builder b;
  b.random.seed(seed);
  Graph& g = b.graph;
  const Value table = b.weight("x", {kRows, kHidden}), w = b.weight("w", {kVocab, kHidden}, 0.3F);
  const Value x = ops::embed(g, table, g.add_input("ids", {DType::kI32, {Dim::tokens()}}));
  Value z = ops::matmul(g, ops::gather_rows(g, x, g.add_input("output_rows", {DType::kI32, {Dim::outputs()}})), w);
  if (form.bias) z = ops::add_bias(g, z, b.weight("bias", {kVocab}));
  if (form.scale != 1) z = ops::scale(g, z, form.scale);
  if (form.bend != 0) z = ops::scale(g, ops::activate(g, z, "tanh"), form.bend);
  g.add_output("logits", z);
  return b;
}

class DistillationTest : public testing::TestWithParam<const char*> {
 protected:
  DistillationTest() : rows_(kRows), targets_(kRows), weights_(kRows) {
    for (int i = 0; i < kRows; ++i) {
      const auto at = static_cast<size_t>(i);
      rows_[at] = i;
      targets_[at] = i == 2 ? -1 : i * 7 % kVocab;
      weights_[at] = static_cast<float>(i % 3) + 0.5F;
    }
    batch_.ids = batch_.output_rows = rows_;
    batch_.targets = targets_;
    batch_.query_begin = begin_;
    batch_.context_len = context_;
    batch_.target_weights = weights_;
  }

  std::unique_ptr<ExecutionContext> run(const Graph& graph, const Numbers& numbers, const char* isa, ThreadPool& pool) {
    const SymbolValues maxima = SymbolValues::all(kRows);
    WeightBinder binder(numbers, pool);
    const auto plan = Plan::make(graph, *find_cpu_kernels(isa), binder, maxima);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    auto context = std::make_unique<ExecutionContext>(*plan, pool);
    context->run(batch_);
    binders_.push_back(std::move(binder));
    return context;
  }

  // Lets the teacher speak of the batch.
  void teach(const Form& form, int64_t k, double temperature) {
    const Builder teacher = head(form, 99);
    const auto said = run(*keep_top_tokens(teacher.graph, k, temperature), teacher.numbers, GetParam(), pool_);
    const auto ids = said->output_integers("teacher_ids");
    const auto p = said->output("teacher_probabilities");
    ids_.assign(ids.begin(), ids.end());
    p_.assign(p.begin(), p.end());
    batch_.teacher_ids = ids_;
    batch_.teacher_probabilities = p_;
    k_ = k;
  }

  // Rows of which the teacher alone speaks, among others.
  void share_rows() {
    for (int i = 0; i < kRows; ++i) shares_.push_back(i % 4 == 0 ? 1 : 0.25F);
    batch_.teacher_shares = shares_;
  }

  // The loss by its definition, in double, from the logits of a plan.
  double loss(const Builder& b, const Numbers& numbers, const ops::Distillation& form) {
    const auto context = run(b.graph, numbers, "reference", pool_);
    const std::span<const float> logits = context->output("logits");
    double sum = 0, counted = 0;
    for (size_t row = 0; row < kRows; ++row) {
      if (targets_[row] < 0) continue;
      const auto z = logits.subspan(row * kVocab, kVocab);
      double plain = 0, warm = 0;
      for (const float v : z) {
        plain += std::exp(static_cast<double>(v));
        warm += std::exp(v / form.temperature);
      }
      double divergence = 0, others = 1;
      const auto relative = [](double from, double to) { return from > 0 ? from * std::log(from / to) : 0; };
      const auto term = [&](double p, double q) {
        const double m = form.beta * p + (1 - form.beta) * q;
        if (form.beta == 0) divergence += relative(p, q);
        if (form.beta == 1) divergence += relative(q, p);
        if (form.beta > 0 && form.beta < 1)
          divergence += form.beta * relative(p, m) + (1 - form.beta) * relative(q, m);
      };
      const float* p = p_.data() + row * static_cast<size_t>(k_ + 1);
      for (size_t i = 0; i < static_cast<size_t>(k_); ++i) {
        const auto id = static_cast<size_t>(ids_[row * static_cast<size_t>(k_) + i]);
        const double q = std::exp(z[id] / form.temperature) / warm;
        others -= q;
        term(p[i], q);
      }
      if (k_ < kVocab) term(p[k_], others);
      const double entropy = std::log(plain) - z[static_cast<size_t>(targets_[row])];
      const double square = form.temperature * form.temperature;
      const double share = shares_.empty() ? form.share : shares_[row];
      sum += weights_[row] * ((1 - share) * entropy + share * square * divergence);
      counted += weights_[row];
    }
    return sum / counted;
  }

  ThreadPool pool_{2};
  std::vector<WeightBinder> binders_;
  std::vector<int32_t> rows_, targets_, begin_{0, kRows}, context_{kRows}, ids_;
  std::vector<float> weights_, shares_, p_;
  int64_t k_ = 0;
  Batch batch_;
};

TEST_P(DistillationTest, TheTeacherGivesItsMostProbableTokens) {
  const Form form{true, 0.4, 3};
  const Builder teacher = head(form, 99);
  const auto logits = run(teacher.graph, teacher.numbers, GetParam(), pool_);
  teach(form, 20, 2);
  for (size_t row = 0; row < kRows; ++row) {
    const auto z = logits->output("logits").subspan(row * kVocab, kVocab);
    std::vector<size_t> order(kVocab);
    for (size_t i = 0; i < kVocab; ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return z[a] > z[b]; });
    double sum = 0, left = 1;
    for (const float v : z) sum += std::exp(v / 2.0);
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_EQ(ids_[row * 20 + i], static_cast<int32_t>(order[i])) << row;
      const double p = std::exp(z[order[i]] / 2.0) / sum;
      EXPECT_NEAR(p_[row * 21 + i], p, 1e-6) << row;
      left -= p;
    }
    EXPECT_NEAR(p_[row * 21 + 20], left, 1e-5) << row;
  }
}

TEST_P(DistillationTest, TheTeachersWeightsMayBeOfAnyType) {
  const Form form{false, 1, 0};
  Builder teacher = head(form, 99);
  teach(form, 8, 1);
  const std::vector<float> exact = p_;
  Graph rounded = teacher.graph;
  std::vector<std::byte> stored;  // as BF16 rows
  for (const float v : teacher.numbers.values["w"]) {
    const auto bits = std::bit_cast<uint32_t>(v);
    for (int byte : {2, 3}) stored.push_back(static_cast<std::byte>(bits >> (8 * byte)));
  }
  class Source final : public WeightSource {
   public:
    Source(const Numbers& numbers, const std::vector<std::byte>& stored) : numbers_(numbers), stored_(stored) {}
    std::optional<WeightTensor> find(std::string_view name) const override {
      if (name != "w") return numbers_.find(name);
      return WeightTensor{DType::kBF16, {kVocab, kHidden}, stored_};
    }

   private:
    const Numbers& numbers_;
    const std::vector<std::byte>& stored_;
  } source(teacher.numbers, stored);
  for (Node& node : rounded.nodes()) {
    if (node.kind == NodeKind::kWeight && node.name == "w") node.outputs[0].dtype = DType::kBF16;
  }
  const CpuKernels& kernels = *find_cpu_kernels(GetParam());
  const SymbolValues maxima = SymbolValues::all(kRows);
  WeightBinder binder(source, pool_);
  const auto plan = Plan::make(quantize(*keep_top_tokens(rounded, 8, 1), kernels), kernels, binder, maxima);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ExecutionContext context(*plan, pool_);
  context.run(batch_);
  const auto p = context.output("teacher_probabilities");
  ASSERT_EQ(p.size(), exact.size());
  for (size_t i = 0; i < p.size(); ++i) EXPECT_NEAR(p[i], exact[i], 0.02) << i;
}

TEST_P(DistillationTest, GradientsAreTheSlopesOfTheLoss) {
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (const Form& form : {Form{false, 1, 0}, Form{true, 1, 0}, Form{true, 0.4, 3}}) {
    const Builder student = head(form, 7);
    if (form.bend != 0) share_rows();
    for (const ops::Distillation& how : {ops::Distillation{1, 1, 0}, {2, 0.6, 0}, {0.7, 0.5, 1}, {1, 0.8, 0.2}, {1.5, 0.9, 0.7}}) {
      SCOPED_TRACE(std::to_string(form.bend) + " " + std::to_string(how.temperature));
      teach(form, 20, how.temperature);
      const Graph graph = *add_distillation_loss(student.graph, how, k_);
      const auto context = run(*differentiate(graph), student.numbers, GetParam(), pool_);
      const double here = loss(student, student.numbers, how);
      EXPECT_NEAR(context->output("loss")[0], here, 1e-5 * here);
      EXPECT_GT(context->output("divergence")[0], 0);
      const std::span<const float> rows = context->output("divergences");
      const double counted = std::accumulate(weights_.begin(), weights_.end(), 0.0) - weights_[2];
      EXPECT_NEAR(std::accumulate(rows.begin(), rows.end(), 0.0) / counted, context->output("divergence")[0], 1e-6);
      for (const auto& [name, values] : student.numbers.values) {
        const std::span<const float> gradient = context->output("grad." + name);
        ASSERT_EQ(gradient.size(), values.size()) << name;
        std::vector<double> direction(values.size());
        double along = 0, square = 0;
        for (size_t i = 0; i < values.size(); ++i) {  // mostly along the gradient, so that there is a slope
          direction[i] = gradient[i] * 3e2 + normal(random) / std::sqrt(static_cast<double>(values.size()));
          square += direction[i] * direction[i];
        }
        for (size_t i = 0; i < values.size(); ++i) along += gradient[i] * direction[i] / std::sqrt(square);
        Numbers up = student.numbers, down = student.numbers;
        constexpr double kStep = 2e-2;
        for (size_t i = 0; i < values.size(); ++i) {
          up.values[name][i] += static_cast<float>(kStep * direction[i] / std::sqrt(square));
          down.values[name][i] -= static_cast<float>(kStep * direction[i] / std::sqrt(square));
        }
        const double slope = (loss(student, up, how) - loss(student, down, how)) / (2 * kStep);
        ASSERT_GT(std::abs(slope), 1e-3) << name;
        EXPECT_NEAR(along, slope, 5e-3 * std::abs(slope)) << name;
      }
    }
  }
}

TEST_P(DistillationTest, AStudentThatIsItsTeacherHasNothingToLearn) {
  const Form form{false, 1, 0};
  for (const double beta : {0.0, 0.5, 1.0}) {
    teach(form, 20, 2);
    const Builder same = head(form, 99);
    const Graph graph = *add_distillation_loss(same.graph, {2, 1, beta}, k_);
    const auto context = run(*differentiate(graph), same.numbers, GetParam(), pool_);
    EXPECT_NEAR(context->output("loss")[0], 0, 1e-6);
    for (const float g : context->output("grad.w")) ASSERT_NEAR(g, 0, 1e-6);
  }
}

TEST_P(DistillationTest, ThreadsChangeNoBit) {
  teach({true, 0.4, 3}, 20, 2);
  const Builder student = head({true, 0.4, 3}, 7);
  const Graph graph = *differentiate(*add_distillation_loss(student.graph, {2, 0.6, 0.5}, k_));
  ThreadPool one(1), three(3);
  const auto a = run(graph, student.numbers, GetParam(), one), b = run(graph, student.numbers, GetParam(), three);
  for (const char* name : {"loss", "divergence", "grad.x", "grad.w", "grad.bias"}) {
    EXPECT_TRUE(std::ranges::equal(a->output(name), b->output(name))) << name;
  }
}

// Two pairs, one of another width: the loss and its slopes, by a weight of the student and by the projection.
TEST_P(DistillationTest, HiddenStatesComeNearerToTheTeachers) {
  Builder b = head({false, 1, 0}, 7);
  for (const Node& node : b.graph.nodes()) {
    if (node.kind == NodeKind::kOp && node.op->name == "embed")
      b.graph.add_tap("layer.0", {static_cast<int32_t>(&node - b.graph.nodes().data()), 0});
  }
  constexpr int64_t kWide = 10;
  teach({false, 1, 0}, 20, 1);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> same(kRows * kHidden), wide(kRows * kWide);
  b.numbers.shapes[hidden_projection(1)] = {kWide, kHidden};
  std::vector<float>& projection = b.numbers.values[hidden_projection(1)];
  projection.resize(kWide * kHidden);
  for (auto* list : {&same, &wide, &projection}) {
    for (float& v : *list) v = normal(random);
  }
  const std::vector<std::span<const float>> hidden{same, wide};
  batch_.teacher_hidden = hidden;
  constexpr double kWeight = 0.5;
  const std::vector<HiddenPair> pairs{{0, kHidden}, {0, kWide}};
  const Graph heads = *add_distillation_loss(b.graph, {1, 0, 0}, k_);
  const Graph graph = *differentiate(*add_hidden_losses(heads, pairs, kWeight));
  const auto value = [&](const Numbers& numbers) {
    const auto& x = numbers.values.at("x");
    const auto& w = numbers.values.at(hidden_projection(1));
    double first = 0, second = 0;
    for (size_t t = 0; t < kRows; ++t) {
      for (size_t i = t * kHidden; i < (t + 1) * kHidden; ++i)
        first += std::pow(static_cast<double>(x[i]) - same[i], 2);
      for (size_t j = 0; j < kWide; ++j) {
        double y = 0;
        for (size_t i = 0; i < kHidden; ++i) y += static_cast<double>(x[t * kHidden + i]) * w[j * kHidden + i];
        second += std::pow(y - wide[t * kWide + j], 2);
      }
    }
    return kWeight / 2 * (first / (kRows * kHidden) + second / (kRows * kWide));
  };
  const auto context = run(graph, b.numbers, GetParam(), pool_);
  EXPECT_NEAR(context->output("hidden_distance")[0], value(b.numbers), 1e-5);
  const auto gradient = context->output("grad." + hidden_projection(1));
  double square = 0;
  for (const float g : gradient) square += static_cast<double>(g) * g;
  ASSERT_GT(square, 1e-6);
  Numbers up = b.numbers, down = b.numbers;
  constexpr double kStep = 1e-2;
  for (size_t i = 0; i < gradient.size(); ++i) {
    up.values[hidden_projection(1)][i] += static_cast<float>(kStep * gradient[i] / std::sqrt(square));
    down.values[hidden_projection(1)][i] -= static_cast<float>(kStep * gradient[i] / std::sqrt(square));
  }
  EXPECT_NEAR((value(up) - value(down)) / (2 * kStep), std::sqrt(square), 1e-3 * std::sqrt(square));
  // By x also the cross-entropy's; with the same teacher twice as important, the difference is the distance's alone.
  const Graph twice = *differentiate(*add_hidden_losses(heads, pairs, 2 * kWeight));
  const auto other = run(twice, b.numbers, GetParam(), pool_);
  const auto a = context->output("grad.x"), c = other->output("grad.x");
  square = 0;
  std::vector<double> along(a.size());
  for (size_t i = 0; i < a.size(); ++i) {
    along[i] = static_cast<double>(c[i]) - a[i];
    square += along[i] * along[i];
  }
  up = down = b.numbers;
  for (size_t i = 0; i < along.size(); ++i) {
    up.values["x"][i] += static_cast<float>(kStep * along[i] / std::sqrt(square));
    down.values["x"][i] -= static_cast<float>(kStep * along[i] / std::sqrt(square));
  }
  EXPECT_NEAR((value(up) - value(down)) / (2 * kStep), std::sqrt(square), 1e-3 * std::sqrt(square));
}

TEST(DistillationMemory, IsNoMatrixOfLogits) {
  constexpr int64_t kWords = 32000, kTokens = 2048, kWidth = 8, kTop = 32;
  Builder b;
  const Value table = b.weight("x", {kTokens, kWidth}), w = b.weight("w", {kWords, kWidth});
  const Value x = ops::embed(b.graph, table, b.graph.add_input("ids", {DType::kI32, {Dim::tokens()}}));
  const Value rows = b.graph.add_input("output_rows", {DType::kI32, {Dim::outputs()}});
  b.graph.add_output("logits", ops::matmul(b.graph, ops::gather_rows(b.graph, x, rows), w));
  const SymbolValues maxima = SymbolValues::all(kTokens);
  ThreadPool pool(1);
  WeightBinder binder(b.numbers, pool);
  for (const Graph& graph : {*keep_top_tokens(b.graph, kTop, 1),
                             *differentiate(*add_distillation_loss(b.graph, {1, 0.5, 0}, kTop))}) {
    const auto plan = Plan::make(graph, *find_cpu_kernels(), binder, maxima);
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    EXPECT_LT((*plan)->arena_bytes() + (*plan)->workspace_bytes(), size_t{kTokens * kWords * sizeof(float)} / 20);
  }
}

std::vector<const char*> tables() {
  std::vector<const char*> names;
  for (const char* name : {"reference", "generic", "avx2", "avx512"}) {
    if (find_cpu_kernels(name) != nullptr) names.push_back(name);
  }
  return names;
}
INSTANTIATE_TEST_SUITE_P(Isa, DistillationTest, testing::ValuesIn(tables()),
                         [](const auto& tested) { return std::string(tested.param); });

}  // namespace
}  // namespace strata
