#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {
namespace {

// Every expert's score before the choice. Softmax of the chosen experts needs the raw logits first.
std::vector<double> scores_of(const RouteArgs& args, const float* logits) {
  std::vector<double> scores(logits, logits + args.n_experts);
  if (args.score == RouteArgs::Score::kSigmoid) {
    for (double& s : scores) s = 1.0 / (1.0 + std::exp(-s));
  } else if (args.score == RouteArgs::Score::kSoftmax) {
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& s : scores) sum += s = std::exp(s - largest);
    for (double& s : scores) s /= sum;
  }
  return scores;
}

// Indices of the n largest values, descending; ties to the lower index.
std::vector<int> largest(const std::vector<float>& values, int n) {
  std::vector<int> order(values.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return values[a] > values[b]; });
  order.resize(n);
  return order;
}

// DeepSeek-V2 and V3 (https://arxiv.org/abs/2405.04434, 2412.19437 section 2.1.2; the models' published code): experts
// outside the best groups are out of the choice. A group is as good as its best expert or the sum of its two best.
void drop_worst_groups(const RouteArgs& args, std::vector<float>& choice) {
  const int per_group = args.n_experts / args.n_groups;
  std::vector<float> quality(args.n_groups);
  for (int g = 0; g < args.n_groups; ++g) {
    const std::vector<float> group(choice.begin() + g * per_group, choice.begin() + (g + 1) * per_group);
    for (int i : largest(group, std::min(args.n_group_best, per_group))) quality[g] += group[i];
  }
  std::vector<bool> kept(args.n_groups);
  for (int g : largest(quality, args.n_groups_used)) kept[g] = true;
  for (int e = 0; e < args.n_experts; ++e) {
    if (!kept[e / per_group]) choice[e] = -std::numeric_limits<float>::infinity();
  }
}

}  // namespace

void route(const RouteArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const std::vector<double> scores = scores_of(args, args.logits + row * args.n_experts);
    std::vector<float> choice(args.n_experts);
    for (int e = 0; e < args.n_experts; ++e) {
      choice[e] = static_cast<float>(scores[e]) + (args.bias == nullptr ? 0.0f : args.bias[e]);
    }
    if (args.n_groups > 1) drop_worst_groups(args, choice);
    const std::vector<int> chosen = largest(choice, args.n_used);

    std::vector<double> weights;
    for (int e : chosen) weights.push_back(scores[e]);
    if (args.score == RouteArgs::Score::kSoftmaxOfChosen) {
      const double top = *std::max_element(weights.begin(), weights.end());
      double sum = 0;
      for (double& w : weights) sum += w = std::exp(w - top);
      for (double& w : weights) w /= sum;
    }
    if (args.normalize) {
      double sum = 1e-20;
      for (double w : weights) sum += w;
      for (double& w : weights) w /= sum;
    }
    for (int r = 0; r < args.n_used; ++r) {
      args.ids[row * args.n_used + r] = chosen[r];
      args.weights[row * args.n_used + r] = static_cast<float>(weights[r] * args.scale);
    }
  }
}

void combine(float* out, const float* y, const float* weights, int64_t dim, int n_used, int64_t row_begin,
             int64_t row_end) {
  for (int64_t t = row_begin; t < row_end; ++t) {
    for (int64_t j = 0; j < dim; ++j) {
      double sum = 0;
      for (int64_t i = t * n_used; i < (t + 1) * n_used; ++i) sum += static_cast<double>(weights[i]) * y[i * dim + j];
      out[t * dim + j] = static_cast<float>(sum);
    }
  }
}

void combine_grad(float* dy, float* dweights, const float* dout, const float* y, const float* weights, int64_t dim,
                  int n_used, int64_t row_begin, int64_t row_end) {
  for (int64_t i = row_begin * n_used; i < row_end * n_used; ++i) {
    const float* d = dout + i / n_used * dim;
    double sum = 0;
    for (int64_t j = 0; j < dim; ++j) {
      sum += static_cast<double>(d[j]) * y[i * dim + j];
      dy[i * dim + j] = weights[i] * d[j];
    }
    dweights[i] = static_cast<float>(sum);
  }
}

// The chosen scores s (of the chosen alone, when the softmax is theirs), maybe divided by their sum, times the scale.
void route_grad(float* dlogits, const float* dweights, const RouteArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int32_t* ids = args.ids + row * args.n_used;
    float* out = dlogits + row * args.n_experts;
    std::vector<double> scores = scores_of(args, args.logits + row * args.n_experts);
    const bool of_chosen = args.score == RouteArgs::Score::kSoftmaxOfChosen;
    if (of_chosen) {
      double largest = scores[ids[0]];
      for (int r = 0; r < args.n_used; ++r) largest = std::max(largest, scores[ids[r]]);
      for (double& s : scores) s = std::exp(s - largest);
    }
    double sum = 0, along = 0;  // of the scores; of the scores times their gradients
    std::vector<double> d(args.n_used);
    for (int r = 0; r < args.n_used; ++r) {
      d[r] = static_cast<double>(dweights[row * args.n_used + r]) * args.scale;
      sum += scores[ids[r]];
      along += scores[ids[r]] * d[r];
    }
    if (args.normalize || of_chosen) {
      for (double& each : d) each = (each - along / sum) / sum;
      along = 0;
    }
    const bool of_all = args.score == RouteArgs::Score::kSoftmax;
    for (int e = 0; e < args.n_experts; ++e) out[e] = static_cast<float>(of_all ? -scores[e] * along : 0.0);
    for (int r = 0; r < args.n_used; ++r) {
      const double s = scores[ids[r]];
      const double slope = args.score == RouteArgs::Score::kSigmoid ? s * (1.0 - s) : s;
      out[ids[r]] += static_cast<float>(slope * d[r]);
    }
  }
}

void head_matmul(float* y, const float* x, const float* w, int n_heads, int64_t n, int64_t k, int64_t row_begin,
                 int64_t row_end) {
  for (int64_t i = row_begin; i < row_end; ++i) {
    for (int h = 0; h < n_heads; ++h) {
      const float* x_head = x + (i * n_heads + h) * k;
      for (int64_t j = 0; j < n; ++j) {
        const float* w_row = w + (h * n + j) * k;
        double sum = 0;
        for (int64_t c = 0; c < k; ++c) sum += static_cast<double>(x_head[c]) * w_row[c];
        y[(i * n_heads + h) * n + j] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace strata::reference
