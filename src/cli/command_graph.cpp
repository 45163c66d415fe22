#include <cstdio>

#include "cli/commands.h"
#include "cli/runtime.h"
#include "compute/graph/passes/pipeline.h"
#include "compute/graph/passes/plan_memory.h"
#include "model/width.h"

namespace strata::cli {

Status graph_command(const Settings& settings, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(arguments[0]));
  ASSIGN_OR_RETURN(BuiltModel built, build_model(checkpoint));
  if (settings.width > 0) {
    ASSIGN_OR_RETURN(built.graph, graph_at_width(built.graph, built.config.widths, settings.width));
  }
  ASSIGN_OR_RETURN(const CpuKernels* kernels, choose_kernels(settings));
  ASSIGN_OR_RETURN(const DType type, cache_type(settings, built.graph, *kernels));
  const std::string pass = settings.after.empty() ? std::string(inference_passes().back()) : settings.after;
  ASSIGN_OR_RETURN(const Graph graph, graph_after_pass(built.graph, pass, *kernels, type));
  const std::string text = settings.dot ? to_dot(graph) : to_text(graph);
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (settings.dot || pass != inference_passes().back()) return ok_status();
  SymbolValues maxima;
  maxima[Symbol::kTokens] = 512;
  maxima[Symbol::kOutputs] = 256;
  maxima[Symbol::kSequences] = 256;
  const Schedule schedule = schedule_waves(graph);
  const MemoryPlan memory = plan_memory(graph, schedule, maxima);
  std::printf("# %zu waves; activations for T=512, O=256: %zu bytes before reuse, %zu after\n", schedule.waves.size(),
              memory.bytes_unshared, memory.bytes);
  return ok_status();
}

}  // namespace strata::cli
