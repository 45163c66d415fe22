// Every op's gradient against finite differences of its value. Each case builds y from weights (activations are looked
// up in one), the loss is the cross-entropy of y's rows; its value is computed here in double from y.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <random>
#include <set>

#include "base/thread_pool.h"
#include "compute/comm/communicator.h"
#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"
#include "compute/graph/passes/add_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/in_bfloat16.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/plan/context.h"
#include "compute/tensor/half.h"
#include "graph_builder.h"

namespace strata {
namespace {

struct Case {
  std::string name;
  std::function<Value(Builder&)> build;
};

Case activation(const std::string& function) {
  return {"activate_" + function,
          [function](Builder& b) { return ops::activate(b.graph, b.rows("x", {5}, {0}), function); }};
}

Case attention(const std::string& name, const ops::Attention& form, bool sinks = false) {
  return {"attention_" + name, [form, sinks](Builder& b) {
            ops::Attention a = form;
            if (sinks) a.sinks = b.weight("sinks", {4});
            const Value q = b.rows("q", {4, 6}), k = b.rows("k", {2, 6}), v = b.rows("v", {2, 5});
            return ops::attention(b.graph, q, k, v, a);
          }};
}

Case route(const std::string& name, const ops::Route& form) {
  return {"experts_" + name, [form](Builder& b) {
            Graph& g = b.graph;
            const Value x = b.rows("x", {6});
            const ops::Routed routed = ops::route(g, ops::matmul(g, x, b.weight("router", {4, 6})), {}, form);
            const ops::ExpertGroups groups = ops::expert_groups(g, routed.ids, 4);
            const Value up = ops::expert_matmul(g, x, b.weight("up", {4, 8, 6}, 0.4F), groups, form.n_used);
            const Value inner = ops::activate(g, up, "silu");
            const Value down = ops::expert_matmul(g, inner, b.weight("down", {4, 6, 8}, 0.4F), groups, form.n_used);
            return ops::combine(g, down, routed.weights);
          }};
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const char* function : {"silu", "gelu", "gelu_tanh", "relu", "relu2", "sigmoid", "tanh"}) {
    all.push_back(activation(function));
  }
  const auto add = [&](std::string name, std::function<Value(Builder&)> build) {
    all.push_back({std::move(name), std::move(build)});
  };
  add("add", [](Builder& b) { return ops::add(b.graph, b.rows("a", {5}), b.rows("b", {5})); });
  add("mul", [](Builder& b) { return ops::mul(b.graph, b.rows("a", {5}), b.rows("b", {5})); });
  add("scale", [](Builder& b) { return ops::scale(b.graph, b.rows("x", {5}), -1.75); });
  add("clamp", [](Builder& b) { return ops::clamp(b.graph, b.rows("x", {5}, {-0.5, 0.5}), 0.5); });
  add("add_bias", [](Builder& b) { return ops::add_bias(b.graph, b.rows("x", {5}), b.weight("bias", {5})); });
  add("gated", [](Builder& b) { return ops::gated(b.graph, b.rows("gate", {5}), b.rows("up", {5}), "silu"); });
  add("gated_gelu",
      [](Builder& b) { return ops::gated(b.graph, b.rows("gate", {5}), b.rows("up", {5}), "gelu_tanh"); });
  add("clamped_gated", [](Builder& b) {
    return ops::clamped_gated(b.graph, b.rows("gate", {5}, {0.8F}), b.rows("up", {5}, {-0.8F, 0.8F}), 1.7, 0.8);
  });
  add("softmax", [](Builder& b) { return ops::scale(b.graph, b.graph.add_op("softmax", {b.rows("x", {5})}), 3); });
  add("softcap", [](Builder& b) {
    Graph& g = b.graph;
    return ops::scale(g, ops::activate(g, ops::scale(g, b.rows("x", {5}), 0.5), "tanh"), 2);
  });
  add("rms_norm", [](Builder& b) { return ops::rms_norm(b.graph, b.rows("x", {20}), b.weight("w", {20}), 1e-5, 1); });
  add("rms_norm_of_heads", [](Builder& b) {
    return ops::rms_norm(b.graph, b.rows("x", {3, 8}), b.weight("w", {8}), 1e-5);
  });
  add("layer_norm", [](Builder& b) {
    return ops::layer_norm(b.graph, b.rows("x", {20}), b.weight("w", {20}), b.weight("b", {20}), 1e-2, 1);
  });
  add("layer_norm_without_bias", [](Builder& b) {
    return ops::layer_norm(b.graph, b.rows("x", {2, 20}), b.weight("w", {20}), {}, 1e-5);
  });
  add("layer_norm_per_head", [](Builder& b) {
    return ops::layer_norm(b.graph, b.rows("x", {3, 8}), b.weight("w", {3, 8}), b.weight("b", {3, 8}), 1e-5);
  });
  add("matmul", [](Builder& b) { return ops::matmul(b.graph, b.rows("x", {7}), b.weight("w", {5, 7})); });
  add("head_matmul", [](Builder& b) {
    return ops::head_matmul(b.graph, b.rows("x", {3, 7}), b.weight("w", {3, 5, 7}));
  });
  add("tied", [](Builder& b) {  // look-up and head share one weight
    Graph& g = b.graph;
    const Value table = b.weight("table", {kTokens, 7});
    const Value x = ops::embed(g, table, g.add_input("ids", {DType::kI32, {Dim::tokens()}}));
    return ops::matmul(g, ops::activate(g, x, "tanh"), table);
  });
  add("slice", [](Builder& b) { return ops::slice(b.graph, b.rows("x", {9}), 2, 7); });
  add("concat", [](Builder& b) { return ops::concat(b.graph, b.rows("a", {4}), b.rows("b", {3})); });
  add("gather_rows", [](Builder& b) {
    return ops::gather_rows(b.graph, b.rows("x", {5}),
                            b.graph.add_input("output_rows", {DType::kI32, {Dim::outputs()}}));
  });
  for (const char* rule : {"first", "last", "mean"}) {
    add("pool_" + std::string(rule), [rule](Builder& b) { return ops::pool(b.graph, b.rows("x", {5}), rule); });
  }
  add("rope", [](Builder& b) {
    return ops::rope(b.graph, b.rows("x", {2, 6}), b.positions(), {.inv_freq = {1, 0.3}});
  });
  add("rope_interleaved", [](Builder& b) {
    const ops::Rope form{.inv_freq = {1, 0.3}, .interleaved = true, .magnitude = 1.2, .offset = 2};
    return ops::rope(b.graph, b.rows("x", {2, 6}), b.positions(), form);
  });
  add("rope_of_two_sets", [](Builder& b) {
    return ops::rope(b.graph, b.rows("x", {2, 6}), b.positions(), {.inv_freq = {1, 0.3}, .long_inv_freq = {0.6, 0.1}});
  });
  all.push_back(attention("causal", {}));
  all.push_back(attention("window", {.scale = 0.7, .window = 2}));
  all.push_back(attention("softcap", {.scale = 0.7, .softcap = 1.5}));
  all.push_back(attention("encoder", {.causal = false}));
  all.push_back(attention("alibi", {.alibi = {0.5, 0.25, 0.1, 0.05}}));
  all.push_back(attention("sinks", {}, true));
  add("latent_attention", [](Builder& b) {
    const Value q_nope = b.rows("q_nope", {3, 4}), q_rope = b.rows("q_rope", {3, 2});
    const Value latent = b.rows("latent", {5}), k_rope = b.rows("k_rope", {2});
    return ops::latent_attention(b.graph, q_nope, q_rope, latent, k_rope, b.weight("k_up", {3, 5, 4}),
                                 b.weight("v_up", {3, 4, 5}), {.scale = 0.4});
  });
  all.push_back(route("softmax", {.n_used = 2}));
  all.push_back(route("normalized", {.n_used = 2, .normalize = true, .scale = 1.5}));
  all.push_back(route("sigmoid", {.n_used = 2, .score = "sigmoid", .normalize = true}));
  all.push_back(route("of_chosen", {.n_used = 2, .score = "softmax_of_chosen"}));
  all.push_back(route("groups", {.n_used = 1, .n_groups = 2, .n_groups_used = 1}));
  add("all_sum", [](Builder& b) { return ops::all_sum(b.graph, b.rows("x", {5})); });
  return all;
}

// Ops without a gradient, and why.
const std::map<std::string_view, const char*> kNotDifferentiable = {
    {"to_activation", "rounds: set after differentiate"},
    {"from_activation", "the same"},
    {"cache_write", "of the paged cache: training has whole segments and no cache"},
    {"paged_attention", "of the paged cache"},
    {"segment_attention", "what attention is lowered to after differentiate"},
    {"lora_down", "serves adapters: pass train_adapters trains them in plain ops"},
    {"lora_up", "the same"},
    {"expert_groups", "sorts integers"},
    {"head_top", "what a teacher says is given"},
};

// Ops that only gradients are made of: there is no second derivative.
bool only_in_gradients(std::string_view op) {
  static constexpr std::string_view kOthers[] = {
      "head_loss_dw",     "head_distill_dw", "matmul_dx",     "matmul_dw",     "rms_norm_dx",  "rms_norm_dw",
      "layer_norm_dx",    "layer_norm_dw",  "sum_rows",      "scatter_rows", "expert_matmul_dx",
      "expert_matmul_dw", "head_matmul_dx", "head_matmul_dw"};
  return op.ends_with("_grad") || std::find(std::begin(kOthers), std::end(kOthers), op) != std::end(kOthers);
}

class Gradients : public testing::TestWithParam<Case> {
 protected:
  Gradients() : pool_(2) {
    const Value y = GetParam().build(builder_);
    const Shape& shape = builder_.graph.type(y).shape;
    int64_t width = 1;
    for (size_t i = 1; i < shape.size(); ++i) width *= shape[i].factor;
    width *= shape[0].factor;
    const Dim rows{1, shape[0].symbol};
    of_sequences_ = rows == Dim::sequences();
    const Value logits = ops::reshape(builder_.graph, y, {rows, width});
    builder_.graph.add_output("y", logits);
    const Value targets = builder_.graph.add_input("targets", {DType::kI32, {rows}});
    builder_.graph.add_output("loss", ops::cross_entropy(builder_.graph, logits, targets));
    width_ = width;
  }

  Batch batch() const {
    Batch b;
    b.ids = ids_;
    b.positions = positions_;
    b.long_rope = long_rope_;
    b.query_begin = query_begin_;
    b.context_len = context_len_;
    b.output_rows = output_rows_;
    b.targets = std::span(targets_).first(of_sequences_ ? context_len_.size() : targets_.size());
    return b;
  }

  std::unique_ptr<ExecutionContext> context_of(const Graph& graph, WeightBinder& binder) {
    const SymbolValues maxima = SymbolValues::all(kTokens);
    const auto plan = Plan::make(fuse(lower_attention_segments(graph)), *find_cpu_kernels("reference"), binder, maxima);
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    return std::make_unique<ExecutionContext>(*plan, pool_, alone_.get());
  }

  // The loss with these numbers, in double.
  double loss(const Numbers& numbers) {
    WeightBinder binder(numbers, pool_);
    Graph forward = builder_.graph;
    forward.outputs().resize(1);  // y
    const auto context = context_of(prune(forward), binder);
    context->run(batch());
    const std::span<const float> y = context->output("y");
    const size_t rows = y.size() / static_cast<size_t>(width_);
    double sum = 0;
    for (size_t i = 0; i < rows; ++i) {
      const auto row = y.subspan(i * static_cast<size_t>(width_), static_cast<size_t>(width_));
      double total = 0;
      for (const float v : row) total += std::exp(static_cast<double>(v));
      sum += std::log(total) - row[static_cast<size_t>(targets_[i])];
    }
    return sum / static_cast<double>(rows);
  }

  double difference(const std::string& weight, const std::vector<double>& direction) {
    constexpr double kStep = 4e-3;
    Numbers up = builder_.numbers, down = builder_.numbers;
    for (size_t i = 0; i < direction.size(); ++i) {
      up.values[weight][i] += static_cast<float>(kStep * direction[i]);
      down.values[weight][i] -= static_cast<float>(kStep * direction[i]);
    }
    return (loss(up) - loss(down)) / (2 * kStep);
  }

  Builder builder_;
  ThreadPool pool_;
  std::unique_ptr<Communicator> alone_ = self_communicator();
  int64_t width_ = 0;
  bool of_sequences_ = false;  // y has a row for each
  std::vector<int32_t> ids_{0, 1, 2, 3, 4, 5}, positions_{0, 1, 2, 3, 0, 1}, long_rope_{0, 0, 0, 0, 1, 1};
  std::vector<int32_t> query_begin_{0, 4, 6}, context_len_{4, 2}, output_rows_{4, 1, 2, 1, 0, 5};
  std::vector<int32_t> targets_{0, 3, 2, 1, 4, 2};
};

TEST_P(Gradients, AreTheSlopesOfTheLoss) {
  const Result<Graph> backward = differentiate(builder_.graph);
  ASSERT_TRUE(backward.ok()) << backward.status().message();
  WeightBinder binder(builder_.numbers, pool_);
  const auto context = context_of(*backward, binder);
  context->run(batch());
  EXPECT_NEAR(context->output("loss")[0], loss(builder_.numbers), 1e-5);
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  for (const auto& [name, values] : builder_.numbers.values) {
    const std::span<const float> gradient = context->output("grad." + name);
    ASSERT_EQ(gradient.size(), values.size()) << name;
    double norm = 0;
    for (const float g : gradient) norm += static_cast<double>(g) * g;
    EXPECT_GT(std::sqrt(norm), 1e-3) << name << ": nothing to compare";
    const auto compare = [&](const std::vector<double>& direction) {
      double along = 0;
      for (size_t i = 0; i < direction.size(); ++i) along += direction[i] * gradient[i];
      EXPECT_NEAR(difference(name, direction), along, 5e-3 * std::abs(along) + 2e-4) << name;
    };
    for (int i = 0; i < 2; ++i) {
      std::vector<double> direction(values.size());
      for (double& d : direction) d = normal(random) / std::sqrt(static_cast<double>(values.size()));
      compare(direction);
    }
    for (size_t i = 0; i < values.size(); i += 1 + values.size() / 4) {
      std::vector<double> direction(values.size());
      direction[i] = 1;
      compare(direction);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradients, testing::ValuesIn(cases()),
                         [](const auto& tested) { return tested.param.name; });

// The head with its loss in one op against the same ops one by one; row 2 is ignored, targets weigh differently.
class HeadLoss : public testing::TestWithParam<const char*> {
 protected:
  static constexpr int64_t kVocab = 150, kHidden = 24, kRows = 300;  // more than one block of each
  struct Form {
    bool bias;
    double scale, bend;
  };
  static constexpr Form kForms[] = {{false, 1, 0}, {true, 1, 0}, {false, 0.5, 0}, {true, 0.4, 3}};

  HeadLoss() : rows_(kRows), ids_(kRows), weights_(kRows) {
    for (int i = 0; i < kRows; ++i) {
      rows_[static_cast<size_t>(i)] = i;
      ids_[static_cast<size_t>(i)] = i == 2 ? -1 : i * 7 % kVocab;
      weights_[static_cast<size_t>(i)] = static_cast<float>(i % 3) + 0.5F;
    }
    batch_.ids = batch_.output_rows = rows_;
    batch_.targets = ids_;
    batch_.query_begin = begin_;
    batch_.context_len = context_;
    batch_.target_weights = weights_;
  }

  static void build(Builder& b, const Form& form) {
    Graph& g = b.graph;
    const Value table = b.weight("x", {kRows, kHidden}), w = b.weight("w", {kVocab, kHidden}, 0.3F);
    const Value bias = form.bias ? b.weight("bias", {kVocab}) : Value{};
    const Value x = ops::embed(g, table, g.add_input("ids", {DType::kI32, {Dim::tokens()}}));
    Value z = ops::matmul(g, ops::gather_rows(g, x, g.add_input("output_rows", {DType::kI32, {Dim::outputs()}})), w);
    if (form.bias) z = ops::add_bias(g, z, bias);
    if (form.scale != 1) z = ops::scale(g, z, form.scale);
    if (form.bend != 0) z = ops::scale(g, ops::activate(g, z, "tanh"), form.bend);
    g.add_output("logits", z);
  }
  static Graph fused(const Builder& b) {
    const Graph forward = add_loss(b.graph);
    EXPECT_NE(to_text(forward).find("head_loss"), std::string::npos) << to_text(forward);
    return *differentiate(forward);
  }

  using Outputs = std::map<std::string, std::vector<float>>;
  Outputs run(const Graph& graph, const WeightSource& source, const char* isa, int threads = 2) {
    ThreadPool pool(threads);
    WeightBinder binder(source, pool);
    const auto plan = Plan::make(graph, *find_cpu_kernels(isa), binder, SymbolValues::all(kRows));
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    ExecutionContext context(*plan, pool);
    context.run(batch_);
    Outputs outputs;
    for (const NamedValue& output : graph.outputs()) {
      const std::span<const float> numbers = context.output(output.name);
      outputs[output.name].assign(numbers.begin(), numbers.end());
    }
    return outputs;
  }
  // The same ops one by one.
  Outputs wanted(const Builder& b) {
    Graph plain = b.graph;
    const Value logits = plain.find_output("logits");
    plain.outputs().clear();
    const Value targets = plain.add_input("targets", {DType::kI32, {Dim::outputs()}});
    plain.add_output("loss", ops::cross_entropy(plain, logits, targets));
    return run(*differentiate(plain), b.numbers, "reference");
  }
  static void compare(const Outputs& got, const Outputs& want, float bound) {
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, e] : want) {
      const std::vector<float>& a = got.at(name);
      ASSERT_EQ(a.size(), e.size()) << name;
      float largest = 0;
      for (const float v : e) largest = std::max(largest, std::abs(v));
      ASSERT_GT(largest, 0) << name;
      for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], e[i], bound * largest) << name << " at " << i;
    }
    const auto ignored = got.at("grad.x").begin() + 2 * kHidden;
    EXPECT_TRUE(std::all_of(ignored, ignored + kHidden, [](float v) { return v == 0; }));
  }

  std::vector<int32_t> rows_, ids_, begin_{0, kRows}, context_{kRows};
  std::vector<float> weights_;
  Batch batch_;
};

TEST_P(HeadLoss, IsTheLossOfItsLogits) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(std::to_string(form.bias) + " " + std::to_string(form.bend));
    Builder b;
    build(b, form);
    compare(run(fused(b), b.numbers, GetParam()), wanted(b), 1e-5F);
  }
}

// Copies under rounded names beside the numbers.
class RoundedNumbers final : public WeightSource {
 public:
  explicit RoundedNumbers(const Numbers& numbers) : numbers_(numbers) {
    for (const auto& [name, values] : numbers.values) {
      for (const float v : values) copies_[name].push_back(float_to_bfloat16(v));
    }
  }
  std::optional<WeightTensor> find(std::string_view name) const override {
    const auto at = copies_.find(std::string(tensor_of_rounded(name)));
    if (at == copies_.end()) return numbers_.find(name);
    return WeightTensor{DType::kBF16, numbers_.shapes.at(at->first), std::as_bytes(std::span(at->second))};
  }

 private:
  const Numbers& numbers_;
  std::map<std::string, std::vector<uint16_t>> copies_;
};

TEST_P(HeadLoss, InBFloat16IsNearAndThreadsChangeNoBit) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(std::to_string(form.bias) + " " + std::to_string(form.bend));
    Builder b;
    build(b, form);
    const Graph rounded = in_bfloat16(fused(b), [](const WeightRef&) { return true; });
    int heads = 0;
    for (const Node& node : rounded.nodes()) {
      if (node.kind != NodeKind::kOp || !node.op->name.starts_with("head_loss")) continue;
      ++heads;
      EXPECT_EQ(rounded.type(node.inputs[0]).dtype, DType::kActBF16) << node.op->name;
      EXPECT_EQ(rounded.type(node.inputs[1]).dtype, DType::kBF16) << node.op->name;
    }
    EXPECT_EQ(heads, 2);
    const RoundedNumbers source(b.numbers);
    const Outputs one = run(rounded, source, GetParam(), 1);
    compare(one, wanted(b), 0.02F);
    EXPECT_NE(one.at("grad.w"), run(fused(b), b.numbers, GetParam()).at("grad.w")) << "nothing was rounded";
    EXPECT_EQ(one, run(rounded, source, GetParam(), 3));
  }
}

std::vector<const char*> tables() {
  std::vector<const char*> names;
  for (const char* name : {"reference", "generic", "avx2", "avx512"}) {
    if (find_cpu_kernels(name) != nullptr) names.push_back(name);
  }
  return names;
}
INSTANTIATE_TEST_SUITE_P(Isa, HeadLoss, testing::ValuesIn(tables()),
                         [](const auto& tested) { return std::string(tested.param); });

TEST(HeadLossMemory, IsNoMatrixOfLogits) {
  constexpr int64_t kVocab = 32000, kHidden = 8, kRows = 2048;
  Builder b;
  const Value table = b.weight("x", {kRows, kHidden}), w = b.weight("w", {kVocab, kHidden});
  const Value x = ops::embed(b.graph, table, b.graph.add_input("ids", {DType::kI32, {Dim::tokens()}}));
  const Value rows = b.graph.add_input("output_rows", {DType::kI32, {Dim::outputs()}});
  b.graph.add_output("logits", ops::matmul(b.graph, ops::gather_rows(b.graph, x, rows), w));
  const SymbolValues maxima = SymbolValues::all(kRows);
  ThreadPool pool(1);
  WeightBinder binder(b.numbers, pool);
  const auto plan = Plan::make(*differentiate(add_loss(b.graph)), *find_cpu_kernels(), binder, maxima);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  EXPECT_LT((*plan)->arena_bytes() + (*plan)->workspace_bytes(), size_t{kRows * kVocab * sizeof(float)} / 20);
}

TEST(GradientsOfOps, EveryOpIsCheckedOrHasAReason) {
  // The roots; distillation_test.cpp and balance_test.cpp have the last ones.
  std::set<std::string_view> checked{"cross_entropy", "mean_loss",       "head_loss",   "head_distill",
                                     "hidden_distance", "expert_shares", "balance_loss"};
  for (const Case& each : cases()) {
    Builder builder;
    each.build(builder);
    for (const Node& node : builder.graph.nodes()) {
      if (node.kind == NodeKind::kOp) checked.insert(node.op->name);
    }
  }
  for (const OpDef* op : all_ops()) {
    if (only_in_gradients(op->name)) continue;
    EXPECT_NE(checked.count(op->name) > 0 && op->name != "expert_groups", kNotDifferentiable.count(op->name) > 0)
        << op->name << " is neither checked nor listed with a reason, or both";
    EXPECT_EQ(op->gradient != nullptr || op->name == "latent_attention", kNotDifferentiable.count(op->name) == 0)
        << op->name;
  }
}

}  // namespace
}  // namespace strata
