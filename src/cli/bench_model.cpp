// bench MODEL: prefill and decode of the bare model, each beside the least time that the machine's ceilings allow. The
// ceilings are measured again between all runs; the best counts, for them and for the model. Where they drift, "paired"
// says more: the median over the runs of the fraction of the better of the two ceilings measured around each.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/disk_speed.h"
#include "cli/model_cost.h"
#include "cli/model_runs.h"
#include "cli/profile_table.h"
#include "cli/progress.h"
#include "cli/runtime.h"
#include "compute/kernels/ceilings.h"

namespace strata::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kRandomRank = 16;  // of --adapters

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The runs of one figure.
struct Figure {
  int64_t sequences = 0;  // 0: a prompt of `tokens` tokens
  int64_t tokens = 0;     // of the prompt, or of each sequence's context
  std::vector<RunTimes> runs;
  std::vector<Ceilings> around;  // each run
  std::vector<RunTimes> adapted;  // with adapters, each right after a run without

  double units() const { return static_cast<double>(sequences == 0 ? tokens : sequences); }
  const RunTimes& best() const {
    return *std::min_element(runs.begin(), runs.end(),
                             [](const RunTimes& a, const RunTimes& b) { return a.seconds < b.seconds; });
  }
  double median_seconds() const {
    std::vector<double> seconds;
    for (const RunTimes& run : runs) seconds.push_back(run.seconds);
    return median(std::move(seconds));
  }
  double spread() const {  // slowest minus fastest, of the median
    const auto [least, most] = std::minmax_element(
        runs.begin(), runs.end(), [](const RunTimes& a, const RunTimes& b) { return a.seconds < b.seconds; });
    return (most->seconds - least->seconds) / median_seconds();
  }
  // Speed with adapters over that without, the median of the pairs.
  double adapted_share() const {
    std::vector<double> shares;
    for (size_t i = 0; i < adapted.size(); ++i) shares.push_back(runs[i].seconds / adapted[i].seconds);
    return median(std::move(shares));
  }
  // `least_seconds(ceilings)`: what a run could not take less than.
  template <class Least>
  double paired_fraction(Least least_seconds) const {
    std::vector<double> fractions;
    for (size_t i = 0; i < runs.size(); ++i) fractions.push_back(least_seconds(around[i]) / runs[i].seconds);
    return median(std::move(fractions));
  }
};

std::vector<Figure> figures_of(const std::vector<int64_t>& prefills, const std::vector<int64_t>& batches,
                               const std::vector<int64_t>& contexts, const RunnerLimits& limits) {
  std::vector<Figure> figures;
  const auto skip = [](const std::string& what, int64_t most, const char* of) {
    std::fprintf(stderr, "skipped: %s (at most %lld %s)\n", what.c_str(), static_cast<long long>(most), of);
  };
  for (const int64_t tokens : prefills) {
    if (tokens == 0) continue;
    if (tokens > limits.max_context) {
      skip(fmt::format("prefill {}", tokens), limits.max_context, "tokens");
    } else {
      figures.push_back({0, tokens, {}, {}, {}});
    }
  }
  for (const int64_t asked : contexts) {
    const int64_t context = std::min<int64_t>(asked, limits.max_context - 1);
    for (const int64_t batch : batches) {
      const std::string what = fmt::format("decode {} at context {}", batch, context);
      if (batch == 0) continue;
      if (batch > limits.max_sequences) {
        skip(what, limits.max_sequences, "sequences");
      } else if (decode_blocks(batch, context) > limits.n_blocks) {
        skip(what, limits.n_blocks, "cache blocks: raise --kv-bytes");
      } else {
        figures.push_back({batch, context, {}, {}, {}});
      }
    }
  }
  return figures;
}

Result<RunTimes> run_figure(const Figure& figure, ModelRunner& runner, std::span<const AdapterRef> adapters) {
  return figure.sequences == 0 ? run_prefill(runner, figure.tokens, adapters)
                               : run_decode(runner, figure.sequences, figure.tokens, adapters);
}

Status measure(std::vector<Figure>& figures, int repeat, ModelRunner& runner, std::span<const AdapterRef> adapters,
               CeilingMeter& meter) {
  Progress progress("bench", static_cast<double>(figures.size()) * repeat);
  double done = 0;
  for (Figure& figure : figures) {
    if (figure.sequences > 0) {
      RETURN_IF_ERROR(fill_context(runner, figure.sequences, figure.tokens));
    } else {  // memory that was never touched is slow the first time
      const int64_t chunk = std::min<int64_t>(figure.tokens, runner.limits().max_batch_tokens);
      RETURN_IF_ERROR(run_prefill(runner, chunk).status());
    }
    Ceilings before = meter.measure_again();
    for (int r = 0; r < repeat; ++r) {
      ASSIGN_OR_RETURN(RunTimes run, run_figure(figure, runner, {}));
      figure.runs.push_back(std::move(run));
      if (!adapters.empty()) {
        ASSIGN_OR_RETURN(RunTimes adapted, run_figure(figure, runner, adapters));
        figure.adapted.push_back(std::move(adapted));
      }
      const Ceilings after = meter.measure_again();
      figure.around.push_back(best_of(before, after));
      before = after;
      progress.update(++done);
    }
  }
  return ok_status();
}

Json speed_json(const Figure& figure) {
  return {{"tok_s", figure.units() / figure.best().seconds},
          {"median_tok_s", figure.units() / figure.median_seconds()},
          {"spread", figure.spread()}};
}

Json prefill_json(const Figure& figure, const ModelCost& cost, const Ceilings& peak) {
  const auto least_seconds = [&](const Ceilings& ceilings) {
    return arithmetic_seconds(cost, ceilings, static_cast<double>(figure.tokens), 1);
  };
  const double least = least_seconds(peak);
  Json json{{"tokens", figure.tokens}};
  json.update(speed_json(figure));
  json["fraction_of_peak"] = least / figure.best().seconds;
  json["paired_fraction_of_peak"] = figure.paired_fraction(least_seconds);
  json["matmul_fraction_of_peak"] = least / figure.best().matmul_seconds;
  return json;
}

Json decode_json(const Figure& figure, const ModelCost& cost, const Ceilings& peak) {
  const double batch = static_cast<double>(figure.sequences);
  const double context = static_cast<double>(figure.tokens);
  const double experts = figure.best().experts_share;
  const double roof = decode_roof(cost, peak, batch, context, experts);
  const double read_s = decode_bytes(cost, batch, context, experts) / (peak.read_gbs * 1e9);
  Json json{{"batch", figure.sequences}, {"context", figure.tokens}};
  json.update(speed_json(figure));
  json["roof_tok_s"] = roof;
  json["fraction_of_roof"] = batch / figure.best().seconds / roof;
  json["paired_fraction_of_roof"] = figure.paired_fraction(
      [&](const Ceilings& ceilings) { return batch / decode_roof(cost, ceilings, batch, context, experts); });
  if (experts > 0) json["experts_share"] = experts;
  json["fraction_of_read"] = read_s / figure.best().seconds;
  return json;
}

void print_adapters(const Json& figure) {
  if (!figure.contains("adapters")) return;
  const Json& adapters = figure["adapters"];
  std::printf("%26s with adapters: %.1f tokens/s, %.3f of without\n", "", adapters["tok_s"].get<double>(),
              adapters["of_bare"].get<double>());
  if (adapters.contains("profile")) print_profile(adapters["profile"]);
}

void print(const Json& json) {
  const auto number = [](const Json& value) { return value.get<double>(); };
  const Json& machine = json["machine"];
  std::printf("%s, %d threads: int8 %.0f, bf16 %.0f, fp32 %.0f Gop/s, read %.1f GB/s; loaded in %.2f s\n",
              machine["isa"].get<std::string>().c_str(), machine["threads"].get<int>(), number(machine["int8_gops"]),
              number(machine["bf16_gops"]), number(machine["fp32_gops"]), number(machine["read_gbs"]),
              number(json["load_s"]));
  std::printf("%.3f Gop per token in prefill, %.3f in decode, %s; %.0f MB of weights, %.0f bytes of %s cache per token\n",
              number(json["cost"]["prefill_gop"]), number(json["cost"]["decode_gop"]),
              json["cost"]["arithmetic"].get<std::string>().c_str(), number(json["cost"]["weight_bytes"]) / 1e6,
              number(json["cost"]["cache_bytes_per_token"]), json["cost"]["cache_type"].get<std::string>().c_str());
  if (!json["prefill"].empty())
    std::printf("\n%8s %18s %10s %8s %8s %8s %16s\n", "prefill", "tokens/s", "median", "spread", "of peak", "paired",
                "matmuls of peak");
  for (const Json& p : json["prefill"]) {
    std::printf("%8lld %18.1f %10.1f %8.3f %8.3f %8.3f %16.3f\n", static_cast<long long>(p["tokens"]),
                number(p["tok_s"]), number(p["median_tok_s"]), number(p["spread"]), number(p["fraction_of_peak"]),
                number(p["paired_fraction_of_peak"]), number(p["matmul_fraction_of_peak"]));
    if (p.contains("profile")) print_profile(p["profile"]);
    print_adapters(p);
  }
  if (!json["decode"].empty())
    std::printf("\n%8s %8s %9s %10s %8s %8s %8s %8s %8s\n", "decode", "context", "tokens/s", "median", "spread", "roof",
                "of roof", "paired", "of read");
  for (const Json& d : json["decode"]) {
    std::printf("%8lld %8lld %9.1f %10.1f %8.3f %8.1f %8.3f %8.3f %8.3f\n", static_cast<long long>(d["batch"]),
                static_cast<long long>(d["context"]), number(d["tok_s"]), number(d["median_tok_s"]),
                number(d["spread"]), number(d["roof_tok_s"]), number(d["fraction_of_roof"]),
                number(d["paired_fraction_of_roof"]), number(d["fraction_of_read"]));
    if (d.contains("profile")) print_profile(d["profile"]);
    print_adapters(d);
  }
}

// Of a model that is bigger than memory: what a step reads from disk, beside what the disk gives.
Status add_disk(Json& json, const WeightStream& stream, const std::filesystem::path& file) {
  ASSIGN_OR_RETURN(const double disk, disk_read_speed(file, std::filesystem::file_size(file)));
  const auto bytes = static_cast<double>(stream.bytes_per_round());
  json["disk"] = {{"read_gbs", disk / 1e9}, {"bytes_per_step", bytes}};
  for (Json& d : json["decode"]) {
    const double speed = bytes * d["tok_s"].get<double>() / d["batch"].get<double>();
    d["disk_gbs"] = speed / 1e9;
    d["fraction_of_disk"] = speed / disk;
  }
  return ok_status();
}

void print_disk(const Json& json) {
  std::printf("\nfrom disk: %.0f MB for each step; read past the page cache at %.2f GB/s\n",
              json["disk"]["bytes_per_step"].get<double>() / 1e6, json["disk"]["read_gbs"].get<double>());
  for (const Json& d : json["decode"]) {
    std::printf("%8d sequences, context %d: %.2f GB/s, %.3f of the disk\n", d["batch"].get<int>(),
                d["context"].get<int>(), d["disk_gbs"].get<double>(), d["fraction_of_disk"].get<double>());
  }
}

void make_room(RunnerOptions& options) {
  options.max_sequences = 64;
  options.max_outputs = 64;
  options.kv_bytes = std::max(options.kv_bytes, size_t{4} << 30);
}

Json report(const std::vector<Figure>& figures, const ModelCost& cost, const Ceilings& peak, bool profile) {
  const double prefill_ops = cost.int8_ops + cost.bf16_ops + cost.fp32_ops;
  const double head_ops = cost.head_int8_ops + cost.head_bf16_ops + cost.head_fp32_ops;
  Json json{{"machine",
             {{"threads", peak.threads},
              {"int8_gops", peak.int8_gops},
              {"bf16_gops", peak.bf16_gops},
              {"fp32_gops", peak.fp32_gops},
              {"read_gbs", peak.read_gbs}}},
            {"cost",
             {{"prefill_gop", prefill_ops / 1e9},
              {"decode_gop", (prefill_ops + head_ops) / 1e9},
              {"arithmetic", arithmetic_name(cost)},
              {"weight_bytes", cost.dense_bytes + cost.expert_bytes},
              {"cache_bytes_per_token", cost.cache_bytes_per_token}}},
            {"prefill", Json::array()},
            {"decode", Json::array()}};
  for (const Figure& figure : figures) {
    Json& list = json[figure.sequences == 0 ? "prefill" : "decode"];
    list.push_back(figure.sequences == 0 ? prefill_json(figure, cost, peak) : decode_json(figure, cost, peak));
    if (profile) list.back()["profile"] = profile_json(figure.best().profile);
    if (figure.adapted.empty()) continue;
    const RunTimes& adapted =
        *std::min_element(figure.adapted.begin(), figure.adapted.end(),
                          [](const RunTimes& a, const RunTimes& b) { return a.seconds < b.seconds; });
    list.back()["adapters"] = {{"tok_s", figure.units() / adapted.seconds}, {"of_bare", figure.adapted_share()}};
    if (profile) list.back()["adapters"]["profile"] = profile_json(adapted.profile);
  }
  return json;
}

}  // namespace

Status bench_model(const Settings& settings, const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> prefills, parse_sizes(settings.prefill_sizes, "--prefill"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> batches, parse_sizes(settings.decode_batches, "--decode-batch"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> contexts, parse_sizes(settings.contexts, "--context"));
  const TimePoint start = steady_clock().now();
  ASSIGN_OR_RETURN(LoadedModel loaded, load_model(settings, path, make_room));
  const double load_s = to_seconds(steady_clock().now() - start);
  ASSIGN_OR_RETURN(const DType type, cache_type(settings, loaded.model->graph(), *loaded.kernels));
  const ModelCost cost = model_cost(loaded.model->graph(), type);

  CeilingMeter meter(*loaded.kernels, loaded.pool->n_threads());
  meter.measure_all(1);
  std::vector<Figure> figures = figures_of(prefills, batches, contexts, loaded.runner->limits());
  const std::vector<AdapterRef> adapters =
      random_adapters(loaded.runner->adapter_places(), kRandomRank, settings.random_adapters);
  RETURN_IF_ERROR(measure(figures, settings.repeat, *loaded.runner, adapters, meter));

  Json json = report(figures, cost, meter.best(), settings.profile);
  json["machine"]["isa"] = loaded.kernels->name;
  json["cost"]["cache_type"] = name(type);
  json["load_s"] = load_s;
  if (const WeightStream* stream = loaded.runner->context().stream()) {
    RETURN_IF_ERROR(add_disk(json, *stream, loaded.runner->binder()->file()->path()));
  }
  if (settings.json) {
    std::printf("%s\n", json.dump().c_str());
  } else {
    print(json);
    if (json.contains("disk")) print_disk(json);
  }
  return ok_status();
}

}  // namespace strata::cli
