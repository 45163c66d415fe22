// GPTQ (https://github.com/ModelCloud/GPTQModel, https://github.com/AutoGPTQ/AutoGPTQ): qweight [k / per, n] holds
// neighbouring columns of a row in a word, qzeros [groups, n / per] neighbouring rows, scales [groups, n]. g_idx [k] is
// the group of each column: in order, or scattered where columns were quantized in the order of their activations
// (desc_act). The first checkpoint format stores each zero less one; gptq_v2 stores it.
#include "model/format/grouped_integers.h"

namespace strata {
namespace {

Status check_format(const PackedModule& module, const std::string& format) {
  if (format == "gptq" || format == "gptq_v2") return ok_status();
  return module.wrong("qweight", "checkpoint_format " + format + " is not supported (gptq and gptq_v2 are)");
}

// Bits by the shapes, which differ between modules where the configuration allows it.
Result<int> bits_of(const PackedModule& module, int64_t words, int64_t k) {
  for (const int bits : {4, 8}) {
    if (words * (32 / bits) == k) return bits;
  }
  return module.wrong("qweight", std::to_string(words) + " words for " + std::to_string(k) +
                                     " columns are neither 4 nor 8 bits, which are supported");
}

}  // namespace

Result<PackedWeight> read_gptq(PackedModule& module, const ConfigView& scheme) {
  const std::string format =
      scheme.get_string("checkpoint_format").value_or(scheme.get_string("format").value_or("gptq"));
  RETURN_IF_ERROR(check_format(module, format));
  ASSIGN_OR_RETURN(const SafetensorsTensor* qweight, module.require("qweight", 2, "I32"));
  ASSIGN_OR_RETURN(const SafetensorsTensor* qzeros, module.require("qzeros", 2, "I32"));
  GroupedIntegers w;
  ASSIGN_OR_RETURN(w.scales, module.require("scales", 2, kScaleTypes));
  w.n = qweight->shape[1];
  if (module.find("g_idx") != nullptr) {
    ASSIGN_OR_RETURN(w.group_of, module.require("g_idx", 1, "I32 I64"));
    w.k = w.group_of->shape[0];
  } else {
    ASSIGN_OR_RETURN(const int64_t bits, scheme.require_int("bits"));
    if (bits != 4 && bits != 8) return module.wrong("qweight", "only 4 and 8 bits are supported");
    w.k = qweight->shape[0] * (32 / bits);
  }
  ASSIGN_OR_RETURN(w.codes.bits, bits_of(module, qweight->shape[0], w.k));
  w.n_groups = w.scales->shape[0];
  const int64_t per = w.codes.per_word();
  if (w.scales->shape[1] != w.n || qzeros->shape[0] != w.n_groups || qzeros->shape[1] != (w.n + per - 1) / per) {
    return module.wrong("qzeros", "its shape does not fit to qweight and scales");
  }
  w.codes.data = qweight->data;
  w.codes.column_step = w.n;
  w.scale_row_step = 1;
  w.scale_group_step = w.n;
  w.zeros = PackedIntegers{qzeros->data, w.codes.bits, true, 1, qzeros->shape[1]};
  w.zero = format == "gptq" ? 1 : 0;
  w.parts = {qweight->data, qzeros->data, w.scales->data};
  return make_weight(module, std::move(w));
}

}  // namespace strata
