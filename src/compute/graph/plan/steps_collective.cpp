// Steps that talk to other ranks.
#include <cstring>

#include "base/check.h"
#include "compute/comm/communicator.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

class AllSumStep final : public StepKernel {
 public:
  int64_t items(const StepArgs&) const override { return 1; }
  void run(const StepArgs& a, int64_t, int64_t, void*) const override {
    CHECK(a.communicator != nullptr);
    const int64_t n = a.out[0].elements();
    if (a.in[0].data != a.out[0].data) std::memcpy(a.out[0].data, a.in[0].data, static_cast<size_t>(n) * sizeof(float));
    const Status status = a.communicator->all_sum(a.out[0].f32(), n);
    CHECK(status.ok());
  }
};

}  // namespace

std::unique_ptr<StepKernel> make_collective_step(const StepContext&, const Node&) {
  return std::make_unique<AllSumStep>();
}

}  // namespace strata
