#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cli/bench.h"
#include "cli/disk_speed.h"
#include "cli/runtime.h"
#include "compute/kernels/ceilings.h"

namespace strata::cli {

Result<std::vector<int64_t>> parse_sizes(const std::string& text, const std::string& option) {
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids, parse_ids(text, option));
  std::vector<int64_t> sizes(ids.begin(), ids.end());
  for (const int64_t size : sizes) {
    if (size < 0) return invalid_argument(option + ": sizes must not be negative");
  }
  return sizes;
}

Status bench_machine(const Settings& settings) {
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  ASSIGN_OR_RETURN(const std::vector<WorkerPlace> places, compute_places(settings));
  CeilingMeter meter(*kernels, static_cast<int>(places.size()));
  meter.measure_all(settings.repeat);
  const std::filesystem::path folder = packed_cache_options(settings).folder;
  Result<double> disk = not_found("no --packed-cache");
  if (!folder.empty()) disk = disk_read_speed_of_folder(folder);
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  if (!settings.json)
    std::printf("%8s %12s %12s %12s %12s\n", "threads", "int8 Gop/s", "bf16 Gop/s", "fp32 Gop/s", "read GB/s");
  for (const Ceilings& row : meter.rows()) {
    if (settings.json) {
      json.push_back({{"threads", row.threads},
                      {"int8_gops", row.int8_gops},
                      {"bf16_gops", row.bf16_gops},
                      {"fp32_gops", row.fp32_gops},
                      {"read_gbs", row.read_gbs}});
      if (disk.ok()) json.back()["disk_read_gbs"] = *disk / 1e9;
    } else {
      std::printf("%8d %12.0f %12.0f %12.0f %12.1f\n", row.threads, row.int8_gops, row.bf16_gops, row.fp32_gops,
                  row.read_gbs);
    }
  }
  if (settings.json) {
    std::printf("%s\n", json.dump().c_str());
  } else if (disk.ok()) {
    std::printf("disk read past the page cache: %.2f GB/s (%s)\n", *disk / 1e9, folder.c_str());
  } else {
    log_warning("disk not measured: " + disk.status().message());
  }
  return ok_status();
}

Status bench_command(const Settings& settings, const Arguments& arguments) {
  if (arguments[0] == "machine") return bench_machine(settings);
  if (arguments[0] == "serve") {
    if (arguments.size() < 2) return invalid_argument("bench serve: no address (give http://HOST:PORT)");
    return bench_serve(settings, arguments[1]);
  }
  return bench_model(settings, arguments[0]);
}

}  // namespace strata::cli
