// DeepSeek-V3 (https://arxiv.org/abs/2412.19437): experts are chosen by sigmoid scores with a correction bias, among
// the groups whose two best experts score best.
#include "model/arch/deepseek.h"
#include "model/arch/models.h"

namespace strata::deepseek_v3 {
namespace {

Experts read_experts(ModelBuilder& b) {
  Experts experts = b.read_experts({"moe_intermediate_size"});
  experts.route.score = b.config().get_string("scoring_func").value_or("sigmoid");
  experts.route.normalize = b.flag_or({"norm_topk_prob"}, true);
  experts.route.scale = b.number_or({"routed_scaling_factor"}, 1);
  deepseek::read_groups(b, experts);
  if (experts.route.score != "sigmoid")
    b.fail(invalid_argument("config: scoring_func \"" + experts.route.score + "\" is unknown (known: sigmoid)"));
  return experts;
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  // In GGUF files both versions have one name.
  const bool second = checkpoint.gguf() != nullptr && checkpoint.config().get_string("scoring_func") == "softmax";
  return second ? deepseek_v2::build(checkpoint) : deepseek::build(checkpoint, read_experts);
}

}  // namespace strata::deepseek_v3
