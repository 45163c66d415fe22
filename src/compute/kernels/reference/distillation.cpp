#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {
namespace {

constexpr double kLeast = 1e-30;  // probabilities below are taken for this one by logarithms

// softmax(logits / temperature) and its log-sum-exp.
struct Distribution {
  Distribution(const float* logits, int64_t vocab, double temperature) : p(static_cast<size_t>(vocab)) {
    const double largest = *std::max_element(logits, logits + vocab);
    for (int64_t j = 0; j < vocab; ++j) p[static_cast<size_t>(j)] = std::exp((logits[j] - largest) / temperature);
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& each : p) each /= sum;
    log_sum_exp = std::log(sum) + largest / temperature;
  }
  std::vector<double> p;
  double log_sum_exp;
};

double log_of(double probability) { return std::log(std::max(probability, kLeast)); }

// What an outcome adds to the divergence, and the slope of that by q where it is not the forward one.
struct Apart {
  Apart(double p, double q, double beta) {
    if (beta == 0) {
      part = p * (log_of(p) - log_of(q));
    } else if (beta == 1) {
      slope = log_of(q) - log_of(p);
      part = q * slope;
    } else {
      const double m = log_of(beta * p + (1 - beta) * q);
      slope = (1 - beta) * (log_of(q) - m);
      part = beta * p * (log_of(p) - m) + q * slope;
    }
  }
  double part = 0, slope = 0;
};

// The probabilities of the tokens of `ids`, then of all others.
std::vector<double> outcomes(const Distribution& distribution, const int32_t* ids, int64_t k) {
  std::vector<double> of_all = distribution.p, result;
  for (int64_t i = 0; i < k; ++i) result.push_back(std::exchange(of_all[static_cast<size_t>(ids[i])], 0));
  result.push_back(std::accumulate(of_all.begin(), of_all.end(), 0.0));
  return result;
}

}  // namespace

void top_probabilities(const TopProbabilitiesArgs& args, int64_t row_begin, int64_t row_end) {
  std::vector<int32_t> order(static_cast<size_t>(args.vocab));
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* logits = args.logits + row * args.vocab;
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + args.k, order.end(), [&](int32_t a, int32_t b) {
      return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
    });
    int32_t* ids = args.ids + row * args.k;
    std::copy_n(order.begin(), args.k, ids);
    const auto p = outcomes(Distribution(logits, args.vocab, args.temperature), ids, args.k);
    std::copy(p.begin(), p.end(), args.probabilities + row * (args.k + 1));
  }
}

void distill(const DistillArgs& args, int64_t row_begin, int64_t row_end) {
  const int64_t k = args.k;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* logits = args.logits + row * args.vocab;
    const int32_t* ids = args.ids + row * k;
    const float* p = args.probabilities + row * (k + 1);
    float* record = args.record + row * (3 + k);
    float* dlogits = args.dlogits == nullptr ? nullptr : args.dlogits + row * args.vocab;
    const int32_t target = args.targets[row];
    const double weight = args.weights == nullptr ? 1.0 : args.weights[row];
    if (target < 0) {
      args.loss[row] = args.divergence[row] = 0;
      std::fill_n(record, 3 + k, 0.0f);
      if (dlogits != nullptr) std::fill_n(dlogits, args.vocab, 0.0f);
      continue;
    }
    const Distribution plain(logits, args.vocab, 1), warm(logits, args.vocab, args.temperature);
    const std::vector<double> q = outcomes(warm, ids, k);
    const double beta = args.beta;
    double divergence = 0, mean_slope = 0;
    for (int64_t i = 0; i <= k; ++i) {
      const double here = q[static_cast<size_t>(i)];
      const Apart apart(p[i], here, beta);
      divergence += apart.part;
      mean_slope += here * apart.slope;
    }
    const double share = args.shares == nullptr ? args.share : args.shares[row];
    const double keep = 1 - share, factor = share * args.temperature;
    const double entropy = plain.log_sum_exp - logits[target];
    args.loss[row] = static_cast<float>((keep * entropy + factor * args.temperature * divergence) * weight);
    args.divergence[row] = static_cast<float>(divergence * weight);
    const auto others = static_cast<size_t>(k);
    const double rest =
        beta == 0 ? 1 - p[k] / std::max(q[others], kLeast) : Apart(p[k], q[others], beta).slope - mean_slope;
    record[0] = static_cast<float>(plain.log_sum_exp);
    record[1] = static_cast<float>(warm.log_sum_exp);
    record[2] = static_cast<float>(rest);
    for (int64_t i = 0; i < k; ++i) {
      const double here = q[static_cast<size_t>(i)];
      const double g = beta == 0 ? here - p[i] : here * (Apart(p[i], here, beta).slope - mean_slope);
      record[3 + i] = static_cast<float>(keep * plain.p[static_cast<size_t>(ids[i])] + factor * g);
    }
    if (dlogits == nullptr) continue;
    for (int64_t j = 0; j < args.vocab; ++j) {
      const auto at = static_cast<size_t>(j);
      dlogits[j] = static_cast<float>((keep * plain.p[at] + factor * rest * warm.p[at]) * args.scale * weight);
    }
    for (int64_t i = 0; i < k; ++i) dlogits[ids[i]] = static_cast<float>(record[3 + i] * args.scale * weight);
    dlogits[target] -= static_cast<float>(keep * args.scale * weight);
  }
}

void distill_columns(const DistillColumnsArgs& args, int64_t row_begin, int64_t row_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const double share = args.shares == nullptr ? args.share : args.shares[row], keep = 1 - share;
    float* z = args.z + row * args.n;
    const float* record = args.record + row * (3 + args.k);
    const int32_t target = args.targets[row];
    const double factor = target < 0 ? 0.0 : args.scale * (args.weights == nullptr ? 1.0 : args.weights[row]);
    for (int64_t j = 0; j < args.n; ++j) {
      const double plain = std::exp(static_cast<double>(z[j]) - record[0]);
      const double warm = std::exp(static_cast<double>(z[j]) / args.temperature - record[1]);
      const double d = keep * plain + share * args.temperature * record[2] * warm;
      z[j] = target < 0 ? 0.0f : static_cast<float>(d * factor);
    }
    for (int64_t i = 0; i < args.k; ++i) {
      const int64_t at = args.ids[row * args.k + i] - args.first;
      if (at >= 0 && at < args.n) z[at] = static_cast<float>(record[3 + i] * factor);
    }
    if (target >= args.first && target < args.first + args.n)
      z[target - args.first] -= static_cast<float>(keep * factor);
  }
}

}  // namespace strata::reference
