#include <cmath>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {

// Rotary position embedding (Su et al., https://arxiv.org/abs/2104.09864).
void rope(const RopeArgs& args, int64_t row_begin, int64_t row_end) {
  const int half = args.rotary_dim / 2;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* inv_freq = args.long_rows != nullptr && args.long_rows[row] != 0 ? args.long_inv_freq : args.inv_freq;
    for (int i = 0; i < half; ++i) {
      const double angle = static_cast<double>(args.positions[row]) * inv_freq[i];
      const double cosine = std::cos(angle) * args.magnitude;
      const double sine = std::sin(angle) * args.magnitude * (args.inverse ? -1.0 : 1.0);
      const int first = args.rotary_offset + (args.interleaved ? 2 * i : i);
      const int second = args.rotary_offset + (args.interleaved ? 2 * i + 1 : i + half);
      for (int head = 0; head < args.n_heads; ++head) {
        float* x = args.x + row * args.row_stride + static_cast<int64_t>(head) * args.head_dim;
        const double a = x[first], b = x[second];
        x[first] = static_cast<float>(a * cosine - b * sine);
        x[second] = static_cast<float>(a * sine + b * cosine);
      }
    }
  }
}

}  // namespace strata::reference
