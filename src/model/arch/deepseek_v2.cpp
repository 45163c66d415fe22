// DeepSeek-V2 (https://arxiv.org/abs/2405.04434): experts are chosen by the softmax of their scores, among all (Lite)
// or the groups whose best expert scores best; the weights are not divided by their sum, whatever norm_topk_prob says.
#include "model/arch/deepseek.h"
#include "model/arch/models.h"

namespace strata::deepseek_v2 {
namespace {

Experts read_experts(ModelBuilder& b) {
  Experts experts = b.read_experts({"moe_intermediate_size"});
  experts.route.score = "softmax";
  experts.route.scale = b.number_or({"routed_scaling_factor"}, 1);
  experts.route.n_group_best = 1;
  const std::string method = b.config().get_string("topk_method").value_or("greedy");
  if (method == "group_limited_greedy") {
    deepseek::read_groups(b, experts);
  } else if (method != "greedy") {
    b.fail(invalid_argument("config: topk_method \"" + method + "\" is unknown (known: greedy, group_limited_greedy)"));
  }
  return experts;
}

}  // namespace

Result<BuiltModel> build(const Checkpoint& checkpoint) { return deepseek::build(checkpoint, read_experts); }

}  // namespace strata::deepseek_v2
