#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

struct SegmentCase {
  const char* name;
  int n_heads, n_kv_heads, k_dim, v_dim;
  float softcap;
  int window;
};
constexpr SegmentCase kCases[] = {
    {"mha", 2, 2, 16, 16, 0, 0},  {"gqa", 6, 2, 20, 33, 0, 0},    {"softcap", 4, 1, 32, 32, 1.5f, 0},
    {"window", 4, 2, 32, 32, 0, 19}, {"both", 4, 2, 24, 16, 2.0f, 7},
};
const std::vector<int32_t> kSegments = {0, 37, 38, 75};

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
                    c.v_dim, 0.3f, c.softcap, c.window, static_cast<int>(kSegments.size()) - 1, kSegments.data()};
    args.dout = dout.data();
    args.dq = dq.data();
    args.dk = dk.data();
    args.dv = dv.data();
  }
  Trial(const Trial&) = delete;

  void run(const CpuKernels& kernels, bool items_apart = false) {
    const int64_t items = kernels.segment_attention_items(args.forward);
    const int64_t grain = items_apart ? 1 : items;
    for (int64_t item = items - grain; item >= 0; item -= grain) {
      kernels.segment_attention(args.forward, item, item + grain);
    }
    for (int64_t item = items - grain; item >= 0; item -= grain) {
      kernels.segment_attention_grad(args, item, item + grain);
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
