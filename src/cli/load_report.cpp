#include "cli/load_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

namespace strata::cli {
namespace {

nlohmann::ordered_json percentiles_ms(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  const auto at = [&](double share) { return percentile(seconds, share) * 1e3; };
  return {{"mean", seconds.empty() ? 0 : sum / static_cast<double>(seconds.size()) * 1e3},
          {"p50", at(0.5)},
          {"p90", at(0.9)},
          {"p95", at(0.95)},
          {"p99", at(0.99)},
          {"max", at(1)}};
}

struct Sums {
  std::vector<double> ttft, gaps, longest_gaps, e2e, rejected;
  std::map<std::string, int> statuses;
  double prompt_tokens = 0, tokens = 0;
  double good = 0, good_tokens = 0;
};

bool is_good(const LoadOutcome& o, const LoadLimits& limits) {
  return (limits.ttft_s == 0 || o.first_s <= limits.ttft_s) && (limits.e2e_s == 0 || o.total_s <= limits.e2e_s);
}

Sums add_up(const std::vector<LoadOutcome>& outcomes, const LoadLimits& limits) {
  Sums sums;
  for (const LoadOutcome& o : outcomes) {
    const std::string status = o.status == 0 ? "no answer" : std::to_string(o.status);
    ++sums.statuses[o.error.empty() || o.status != 200 ? status : "broken stream"];
    if (o.status == 429) sums.rejected.push_back(o.total_s);
    if (!o.error.empty()) continue;
    sums.ttft.push_back(o.first_s);
    sums.e2e.push_back(o.total_s);
    sums.gaps.insert(sums.gaps.end(), o.gaps_s.begin(), o.gaps_s.end());
    if (!o.gaps_s.empty()) sums.longest_gaps.push_back(*std::max_element(o.gaps_s.begin(), o.gaps_s.end()));
    sums.prompt_tokens += o.prompt_tokens;
    sums.tokens += o.tokens;
    if (!is_good(o, limits)) continue;
    ++sums.good;
    sums.good_tokens += o.tokens;
  }
  return sums;
}

// The least time of one request on a model that computes all its prompt's tokens at the one speed, then all its answer's
// at the other.
nlohmann::ordered_json bound(const Sums& sums, double seconds, const LoadLimits& limits) {
  const double answered = static_cast<double>(sums.e2e.size());
  const double prompt = answered == 0 ? 0 : sums.prompt_tokens / answered;
  const double answer = answered == 0 ? 0 : sums.tokens / answered;
  const double most = answer == 0 ? 0 : answer / (prompt / limits.prefill_tok_s + answer / limits.decode_tok_s);
  return {{"prefill_tok_s", limits.prefill_tok_s},
          {"decode_tok_s", limits.decode_tok_s},
          {"output_tok_s", most},
          {"fraction", most == 0 ? 0 : sums.tokens / seconds / most}};
}

}  // namespace

double percentile(std::span<const double> sorted, double share) {
  if (sorted.empty()) return 0;
  const double rank = std::ceil(share * static_cast<double>(sorted.size()) - 1e-9);
  return sorted[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

nlohmann::ordered_json load_report(const std::vector<LoadOutcome>& outcomes, double seconds, const LoadLimits& limits) {
  const Sums sums = add_up(outcomes, limits);
  nlohmann::ordered_json json{{"requests", outcomes.size()},
                              {"failures", outcomes.size() - sums.e2e.size()},
                              {"statuses", sums.statuses},
                              {"seconds", seconds},
                              {"prompt_tokens", sums.prompt_tokens},
                              {"output_tokens", sums.tokens},
                              {"output_tok_s", sums.tokens / seconds},
                              {"requests_s", static_cast<double>(sums.e2e.size()) / seconds},
                              {"ttft_ms", percentiles_ms(sums.ttft)},
                              {"inter_token_ms", percentiles_ms(sums.gaps)},
                              {"longest_gap_ms", percentiles_ms(sums.longest_gaps)},
                              {"e2e_ms", percentiles_ms(sums.e2e)}};
  if (!sums.rejected.empty()) json["rejected_ms"] = percentiles_ms(sums.rejected);
  if (limits.ttft_s > 0 || limits.e2e_s > 0) {
    json["goodput"] = {{"requests", sums.good},
                       {"share", outcomes.empty() ? 0 : sums.good / static_cast<double>(outcomes.size())},
                       {"requests_s", sums.good / seconds},
                       {"output_tok_s", sums.good_tokens / seconds}};
  }
  if (limits.prefill_tok_s > 0 && limits.decode_tok_s > 0) json["bound"] = bound(sums, seconds, limits);
  return json;
}

void print_load_report(const nlohmann::ordered_json& report) {
  const auto number = [](const nlohmann::ordered_json& value) { return value.get<double>(); };
  std::printf("%.0f requests in %.1f s, %.0f failed; %.1f output tokens/s, %.2f requests/s\n",
              number(report["requests"]), number(report["seconds"]), number(report["failures"]),
              number(report["output_tok_s"]), number(report["requests_s"]));
  for (const auto& [status, count] : report["statuses"].items())
    std::printf("  %s: %.0f\n", status.c_str(), number(count));
  if (report.contains("goodput")) {
    const auto& good = report["goodput"];
    std::printf("within the limits: %.0f (%.3f), %.2f requests/s, %.1f output tokens/s\n", number(good["requests"]),
                number(good["share"]), number(good["requests_s"]), number(good["output_tok_s"]));
  }
  if (report.contains("bound")) {
    std::printf("of the model alone (%.1f output tokens/s): %.2f\n", number(report["bound"]["output_tok_s"]),
                number(report["bound"]["fraction"]));
  }
  std::printf("%-16s %10s %10s %10s %10s %10s %10s   (ms)\n", "", "mean", "p50", "p90", "p95", "p99", "max");
  for (const char* row : {"ttft_ms", "inter_token_ms", "longest_gap_ms", "e2e_ms", "rejected_ms"}) {
    if (!report.contains(row)) continue;
    std::printf("%-16s", row);
    for (const char* column : {"mean", "p50", "p90", "p95", "p99", "max"})
      std::printf(" %10.1f", number(report[row][column]));
    std::printf("\n");
  }
}

}  // namespace strata::cli
