#include "learn/train/step_metrics.h"

#include <algorithm>
#include <numeric>

namespace strata {

void StepMetrics::add(Trainer& trainer, const PackedBatch& batch) {
  const auto collect = [&](const char* name, std::optional<double>& sum) {
    if (const auto value = trainer.metric(name); !value.empty()) sum = sum.value_or(0) + value[0];
  };
  collect("divergence", divergence_);
  collect("hidden_distance", hidden_distance_);
  collect("balance", balance_);
  targets_ += batch.n_targets();
  written_ += batch.n_written();
  const std::span<const float> divergences = trainer.metric("divergences");
  for (const float each : divergences.last(divergences.empty() ? 0 : static_cast<size_t>(batch.n_written())))
    divergence_of_written_ += each;
  if (const auto& narrow = trainer.narrow_loss()) {
    narrow_width_ = narrow->width;
    narrow_loss_ += narrow->loss;
  }
  const std::span<const float> shares = trainer.metric("expert_shares");
  expert_shares_.resize(shares.size() / 2);
  for (size_t e = 0; e < expert_shares_.size(); ++e) expert_shares_[e] += shares[e];
}

void StepMetrics::write(StepLog& line) const {
  if (divergence_) line.more.emplace_back("divergence", *divergence_);
  if (written_ > 0) {
    const auto written = static_cast<double>(written_);
    line.more.emplace_back("written_tokens", written);
    line.more.emplace_back("written_share", written / static_cast<double>(targets_));
    line.more.emplace_back("written_divergence", divergence_of_written_ / written);
  }
  if (hidden_distance_) line.more.emplace_back("hidden_distance", *hidden_distance_);
  if (narrow_width_ > 0) line.more.emplace_back("loss.width." + std::to_string(narrow_width_), narrow_loss_);
  if (!balance_) return;
  line.more.emplace_back("balance", *balance_);
  const double all = std::accumulate(expert_shares_.begin(), expert_shares_.end(), 0.0);
  const double most = *std::max_element(expert_shares_.begin(), expert_shares_.end());
  line.more.emplace_back("busiest_expert", most * static_cast<double>(expert_shares_.size()) / all);
}

}  // namespace strata
