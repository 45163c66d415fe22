#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

struct SegmentCase {
  const char* name;
  int n_heads, n_kv_heads, k_dim, v_dim;
  float softcap;
  int window;
  bool causal = true;
  bool alibi = false;
};
constexpr SegmentCase kCases[] = {
    {"mha", 2, 2, 16, 16, 0, 0},  {"gqa", 6, 2, 20, 33, 0, 0},    {"softcap", 4, 1, 32, 32, 1.5f, 0},
    {"window", 4, 2, 32, 32, 0, 19}, {"both", 4, 2, 24, 16, 2.0f, 7},
    {"encoder", 4, 4, 32, 32, 0, 0, false}, {"encoder_gqa", 6, 2, 20, 33, 1.5f, 0, false},
    {"encoder_window", 3, 3, 16, 40, 0, 10, false}, {"alibi", 6, 2, 20, 16, 0, 0, true, true},
    {"alibi_window_softcap", 4, 2, 24, 16, 2.0f, 7, true, true}, {"encoder_alibi", 4, 4, 32, 32, 0, 0, false, true},
};
const std::vector<int32_t> kSegments = {0, 37, 38, 75, 145};  // the last is longer than a tile
constexpr float kSlopes[] = {0.5f, 0.25f, 0.1f, 0.07f, 0.3f, 0.01f};

// The workspace of both passes, filled with what must not matter.
class Workspace {
 public:
  Workspace(const CpuKernels& kernels, const SegmentAttentionArgs& args)
      : memory_(kernels.segment_attention_workspace(args) / sizeof(float) + 16, std::nanf("")) {}
  void* get() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory_.data()) + 63) / 64 * 64); }

 private:
  std::vector<float> memory_;
};

// The buffers of one forward and backward run.
struct Trial {
  explicit Trial(const SegmentCase& c) {
    const size_t tokens = kSegments.back(), heads = tokens * c.n_heads, kv_heads = tokens * c.n_kv_heads;
    q = random_floats(70, heads * c.k_dim);
    k = random_floats(71, kv_heads * c.k_dim);
    v = random_floats(72, kv_heads * c.v_dim);
    dout = random_floats(73, heads * c.v_dim);
    out.resize(heads * c.v_dim);
    log_sum_exp.resize(heads);
    dq.resize(q.size());
    dk.resize(k.size());
    dv.resize(v.size());
    args.forward = {q.data(), k.data(), v.data(), out.data(), log_sum_exp.data(), c.n_heads, c.n_kv_heads, c.k_dim,
                    c.v_dim, 0.3f, c.softcap, c.window, static_cast<int>(kSegments.size()) - 1, kSegments.data(), c.causal};
    args.forward.alibi = {c.alibi ? kSlopes : nullptr};
    args.dout = dout.data();
    args.dq = dq.data();
    args.dk = dk.data();
    args.dv = dv.data();
  }
  Trial(const Trial&) = delete;

  void run(const CpuKernels& kernels, bool items_apart = false) {
    Workspace workspace(kernels, args.forward);
    const int64_t items = kernels.segment_attention_items(args.forward);
    const int64_t grain = items_apart ? 1 : items;
    for (int64_t item = items - grain; item >= 0; item -= grain) {
      kernels.segment_attention(args.forward, item, item + grain, workspace.get());
    }
    const int64_t grad_items = kernels.segment_attention_grad_items(args.forward);
    const int64_t grad_grain = items_apart ? 1 : grad_items;
    for (int64_t item = grad_items - grad_grain; item >= 0; item -= grad_grain) {
      kernels.segment_attention_grad(args, item, item + grad_grain, workspace.get());
    }
  }

  double loss() const {
    double sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum += static_cast<double>(out[i]) * dout[i];
    return sum;
  }

  std::vector<float> q, k, v, dout, out, log_sum_exp, dq, dk, dv;
  SegmentAttentionGradArgs args;
};

class SegmentAttentionTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(SegmentAttentionTest);

TEST_P(SegmentAttentionTest, ForwardAndGradientAreNearTheReference) {
  for (const SegmentCase& c : kCases) {
    SCOPED_TRACE(c.name);
    Trial fast(c), slow(c), apart(c);
    fast.run(kernels());
    slow.run(kReferenceKernels);
    expect_close(fast.out, slow.out, 2e-6f);
    expect_close(fast.log_sum_exp, slow.log_sum_exp, 1e-6f);
    expect_close(fast.dq, slow.dq, 4e-6f);
    expect_close(fast.dk, slow.dk, 4e-6f);
    expect_close(fast.dv, slow.dv, 4e-6f);
    apart.run(kernels(), true);
    expect_same_bits(apart.out, fast.out);
    expect_same_bits(apart.dq, fast.dq);
    expect_same_bits(apart.dk, fast.dk);
    expect_same_bits(apart.dv, fast.dv);
  }
}

// One long segment with sinks, alone and between others: near the reference, and the same bits in any company.
TEST_P(SegmentAttentionTest, LongSegmentsKeepTheirBitsInCompany) {
  constexpr int kHeads = 4, kKvHeads = 2, kDim = 24, kLong = 1100;
  const std::vector<float> sinks = {0.5f, -1.0f, 2.0f, 0.0f};
  const std::vector<int32_t> company = {0, 3, 3 + kLong, 20 + kLong}, alone = {0, kLong};
  const size_t tokens = static_cast<size_t>(company.back());
  const std::vector<float> q = random_floats(80, tokens * kHeads * kDim), k = random_floats(81, tokens * kKvHeads * kDim),
                           v = random_floats(82, tokens * kKvHeads * kDim);
  for (const bool causal : {true, false}) {
    for (const int window : {0, 40, 700}) {
      SCOPED_TRACE(std::string(causal ? "causal" : "both ways") + ", window " + std::to_string(window));
      const auto attend = [&](const CpuKernels& table, const std::vector<int32_t>& segments, size_t first) {
        const size_t n = static_cast<size_t>(segments.back());
        std::vector<float> out(n * kHeads * kDim), log_sum_exp(n * kHeads);
        SegmentAttentionArgs args = {q.data() + first * kHeads * kDim, k.data() + first * kKvHeads * kDim,
                                     v.data() + first * kKvHeads * kDim, out.data(), log_sum_exp.data(), kHeads,
                                     kKvHeads, kDim, kDim, 0.3f, 0, window, static_cast<int>(segments.size()) - 1,
                                     segments.data(), causal, sinks.data()};
        Workspace workspace(table, args);
        table.segment_attention(args, 0, table.segment_attention_items(args), workspace.get());
        return out;
      };
      const std::vector<float> together = attend(kernels(), company, 0);
      expect_close(together, attend(kReferenceKernels, company, 0), 4e-6f);
      const auto begin = together.begin() + 3 * kHeads * kDim;
      expect_same_bits({begin, begin + kLong * kHeads * kDim}, attend(kernels(), alone, 3));
    }
  }
}

TEST_P(SegmentAttentionTest, GradientIsTheDifferenceQuotient) {
  for (const SegmentCase& c : kCases) {
    SCOPED_TRACE(c.name);
    Trial trial(c);
    trial.run(kernels());
    const std::vector<float> gradients[] = {trial.dq, trial.dk, trial.dv};
    std::vector<float>* inputs[] = {&trial.q, &trial.k, &trial.v};
    const float h = 2e-2f;
    for (int which = 0; which < 3; ++which) {
      for (size_t i = 3; i < inputs[which]->size(); i += inputs[which]->size() / 6) {
        const float before = (*inputs[which])[i];
        (*inputs[which])[i] = before + h;
        trial.run(kReferenceKernels);
        const double up = trial.loss();
        (*inputs[which])[i] = before - h;
        trial.run(kReferenceKernels);
        const double down = trial.loss();
        (*inputs[which])[i] = before;
        EXPECT_NEAR((up - down) / (2 * h), gradients[which][i], 2e-3) << which << " " << i;
      }
    }
  }
}

}  // namespace
}  // namespace strata
