// AWQ as AutoAWQ writes it for its gemm kernels (https://github.com/casper-hansen/AutoAWQ): qweight [k, n / 8] and
// qzeros [groups, n / 8] hold eight neighbouring rows in a word, in the order 0 2 4 6 1 3 5 7; scales [groups, n].
#include <algorithm>
#include <cctype>

#include "model/format/grouped_integers.h"

namespace strata {

Result<PackedWeight> read_awq(PackedModule& module, const ConfigView& scheme) {
  std::string version = scheme.get_string("version").value_or("gemm");
  std::transform(version.begin(), version.end(), version.begin(), [](unsigned char c) { return std::tolower(c); });
  if (version != "gemm") {
    return module.wrong("qweight", "AWQ's version " + version + " is not supported (gemm is)");
  }
  const int64_t bits = scheme.get_int("bits").value_or(4);
  if (bits != 4) return module.wrong("qweight", "AWQ with " + std::to_string(bits) + " bits is not supported (4 is)");
  ASSIGN_OR_RETURN(const SafetensorsTensor* qweight, module.require("qweight", 2, "I32"));
  ASSIGN_OR_RETURN(const SafetensorsTensor* qzeros, module.require("qzeros", 2, "I32"));
  GroupedIntegers w;
  ASSIGN_OR_RETURN(w.scales, module.require("scales", 2, kScaleTypes));
  const int64_t words = qweight->shape[1];
  w.n = words * 8;
  w.k = qweight->shape[0];
  w.n_groups = w.scales->shape[0];
  if (w.scales->shape[1] != w.n || qzeros->shape != std::vector<int64_t>{w.n_groups, words}) {
    return module.wrong("qzeros", "its shape does not fit to qweight and scales");
  }
  w.codes = {qweight->data, 4, true, 1, words, true};
  w.zeros = PackedIntegers{qzeros->data, 4, true, 1, words, true};
  w.scale_row_step = 1;
  w.scale_group_step = w.n;
  w.parts = {qweight->data, qzeros->data, w.scales->data};
  return make_weight(module, std::move(w));
}

}  // namespace strata
