#include "learn/train/gguf_parameters.h"

#include "model/format/published_weights.h"

namespace strata {

Result<Parameters> gguf_parameters(const Checkpoint& gguf, const nlohmann::json& config, const BuiltModel& built) {
  Parameters read;
  std::vector<PublishedNumbers> tensors;
  for (const WantedTensor& wanted : built.wanted)
    tensors.push_back({wanted.name, wanted.shape, read.add(wanted.name, wanted.shape).values()});
  RETURN_IF_ERROR(read_published_weights(gguf, config, tensors));
  return Parameters::copy(built.graph, read);
}

}  // namespace strata
