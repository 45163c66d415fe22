// The balance of experts: its value, its gradient, and a batch's part of a step.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/add_balance_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/plan/context.h"
#include "graph_builder.h"

namespace strata {
namespace {

constexpr int kExperts = 5, kUsed = 2;

// Two layers of routers over looked-up rows; the loss is 0 but for the balance.
struct Routers {
  explicit Routers(const std::string& score = "softmax") {
    Graph& g = b.graph;
    const Value x = b.rows("x", {7});
    for (const char* name : {"first", "second"}) {
      const Value logits = ops::matmul(g, x, b.weight(name, {kExperts, 7}));
      ops::route(g, logits, {}, {.n_used = kUsed, .score = score});
      routers.push_back(logits);
    }
    const Value targets = g.add_input("targets", {DType::kI32, {Dim::tokens()}});
    g.add_output("loss", ops::cross_entropy(g, ops::slice(g, x, 0, 1), targets));  // one token to choose from
  }
  Builder b;
  std::vector<Value> routers;
};

class BalanceTest : public testing::Test {
 protected:
  BalanceTest() {
    batch_.ids = ids_;
    batch_.query_begin = begin_;
    batch_.context_len = context_;
    batch_.targets = targets_;
  }
  std::unique_ptr<ExecutionContext> run(const Graph& graph, const Numbers& numbers, ThreadPool& pool) {
    const SymbolValues maxima = SymbolValues::all(kTokens);
    WeightBinder binder(numbers, pool);
    const auto plan = Plan::make(graph, *find_cpu_kernels(), binder, maxima);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    auto context = std::make_unique<ExecutionContext>(*plan, pool);
    context->run(batch_);
    binders_.push_back(std::move(binder));
    return context;
  }
  // By its definition, in double.
  double balance(const Routers& routers, const Numbers& numbers) {
    Graph logits = routers.b.graph;
    logits.outputs().clear();
    for (size_t i = 0; i < 2; ++i) logits.add_output(std::to_string(i), routers.routers[i]);
    const auto context = run(prune(logits), numbers, pool_);
    std::vector<double> chosen(kExperts), mean(kExperts);
    for (const char* layer : {"0", "1"}) {
      const auto z = context->output(layer);
      for (size_t t = 0; t < kTokens; ++t) {
        std::vector<double> p;
        double sum = 0;
        for (size_t e = 0; e < kExperts; ++e) p.push_back(std::exp(static_cast<double>(z[t * kExperts + e])));
        for (const double each : p) sum += each;
        for (size_t e = 0; e < kExperts; ++e) {
          mean[e] += p[e] / sum / (2 * kTokens);
          const auto better = std::count_if(p.begin(), p.end(), [&](double other) { return other > p[e]; });
          if (better < kUsed) chosen[e] += 1.0 / (2 * kTokens);
        }
      }
    }
    double sum = 0;
    for (size_t e = 0; e < kExperts; ++e) sum += kExperts * chosen[e] * mean[e];
    return sum;
  }

  ThreadPool pool_{2};
  std::vector<WeightBinder> binders_;
  std::vector<int32_t> ids_{0, 1, 2, 3, 4, 5}, begin_{0, 6}, context_{6}, targets_{0, 0, 0, 0, 0, 0};
  Batch batch_;
};

TEST_F(BalanceTest, IsWhatItsDefinitionSaysAndSoIsItsSlope) {
  const Routers routers;
  const Graph graph = *differentiate(*add_balance_loss(routers.b.graph, 0.25));
  const auto context = run(graph, routers.b.numbers, pool_);
  const double value = balance(routers, routers.b.numbers);
  EXPECT_NEAR(context->output("balance")[0], value, 1e-5);
  EXPECT_NEAR(context->output("loss")[0], 0.25 * value, 1e-5);
  const auto shares = context->output("expert_shares");
  ASSERT_EQ(shares.size(), size_t{2 * kExperts});
  double chosen = 0, probability = 0;
  for (size_t e = 0; e < kExperts; ++e) {
    chosen += shares[e];
    probability += shares[kExperts + e];
  }
  EXPECT_NEAR(chosen, kUsed, 1e-5);
  EXPECT_NEAR(probability, 1, 1e-5);
  for (const char* name : {"first", "second"}) {
    const auto gradient = context->output(std::string("grad.") + name);
    double square = 0;
    for (const float g : gradient) square += static_cast<double>(g) * g;
    ASSERT_GT(square, 1e-8) << name;
    constexpr double kStep = 1e-3;  // along the gradient; no token changes its experts on the way
    Numbers up = routers.b.numbers, down = routers.b.numbers;
    for (size_t i = 0; i < gradient.size(); ++i) {
      up.values[name][i] += static_cast<float>(kStep * gradient[i] / std::sqrt(square));
      down.values[name][i] -= static_cast<float>(kStep * gradient[i] / std::sqrt(square));
    }
    const double slope = 0.25 * (balance(routers, up) - balance(routers, down)) / (2 * kStep);
    EXPECT_NEAR(slope, std::sqrt(square), 0.01 * std::sqrt(square)) << name;
  }
}

TEST_F(BalanceTest, ABatchCountsAsItsPartOfTheStepAndThreadsChangeNoBit) {
  const Routers routers;
  const Graph graph = *differentiate(*add_balance_loss(routers.b.graph, 1));
  const float whole = run(graph, routers.b.numbers, pool_)->output("balance")[0];
  batch_.target_total = 4.0 * kTokens;
  ThreadPool one(1), three(3);
  const auto a = run(graph, routers.b.numbers, one), b = run(graph, routers.b.numbers, three);
  EXPECT_NEAR(a->output("balance")[0], whole / 4, 1e-6);
  EXPECT_TRUE(std::ranges::equal(a->output("grad.first"), b->output("grad.first")));
}

TEST_F(BalanceTest, WantsRoutersOfASoftmax) {
  EXPECT_FALSE(add_balance_loss(Routers("sigmoid").b.graph, 1).ok());
  EXPECT_TRUE(add_balance_loss(Routers("sigmoid").b.graph, 0).ok());
  Builder dense;
  const Value x = dense.rows("x", {7});
  const Value targets = dense.graph.add_input("targets", {DType::kI32, {Dim::tokens()}});
  dense.graph.add_output("loss", ops::cross_entropy(dense.graph, x, targets));
  EXPECT_FALSE(add_balance_loss(dense.graph, 1).ok());
  EXPECT_EQ(to_text(*add_balance_loss(dense.graph, 0)), to_text(dense.graph));
}

}  // namespace
}  // namespace strata
