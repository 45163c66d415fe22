#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/thread_pool.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/runtime.h"
#include "model/format/quantize.h"
#include "model/width.h"

namespace strata::cli {

Status quantize_command(const Settings& settings, const Arguments& arguments) {
  if (settings.type.empty()) return invalid_argument("quantize: no weight type (give --type, e.g. --type Q4_K_M)");
  std::optional<Importance> importance;
  if (!settings.imatrix.empty()) {
    ASSIGN_OR_RETURN(importance, read_importance(settings.imatrix));
  }
  ASSIGN_OR_RETURN(const std::vector<WorkerPlace> places, compute_places(settings));
  ASSIGN_OR_RETURN(Checkpoint checkpoint, Checkpoint::open(arguments[0]));
  if (settings.width > 0) {
    ASSIGN_OR_RETURN(checkpoint, checkpoint_at_width(std::move(checkpoint), settings.width));
  }
  ThreadPool pool(places);
  Progress bar("quantize", 1);
  ASSIGN_OR_RETURN(
      const QuantizeResult result,
      quantize_checkpoint(
          checkpoint, arguments[1], settings.type, pool,
          [&](const QuantizeProgress& progress) {
            bar.update(static_cast<double>(progress.done) / static_cast<double>(std::max<int64_t>(1, progress.total)));
          },
          importance ? &*importance : nullptr));
  if (settings.json) {
    std::printf("%s\n", nlohmann::ordered_json{{"source_bytes", result.source_bytes},
                                               {"bytes", result.bytes},
                                               {"fallbacks", result.fallbacks},
                                               {"without_importance", result.without_importance}}
                            .dump()
                            .c_str());
  } else {
    std::printf("%s: %llu bytes of weights, %.3f of the source's\n", arguments[1].c_str(),
                static_cast<unsigned long long>(result.bytes),
                static_cast<double>(result.bytes) / static_cast<double>(std::max<uint64_t>(1, result.source_bytes)));
    if (result.fallbacks > 0)
      std::printf("%lld tensors have rows that do not divide into blocks of the type and got another one\n",
                  static_cast<long long>(result.fallbacks));
    if (!result.without_importance.empty()) {
      std::string names;
      for (const std::string& name : result.without_importance) names += (names.empty() ? "" : ", ") + name;
      std::printf("no importance is known of %s\n", names.c_str());
    }
  }
  return ok_status();
}

}  // namespace strata::cli
