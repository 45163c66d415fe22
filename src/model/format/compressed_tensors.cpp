// compressed-tensors (https://github.com/vllm-project/compressed-tensors):
//   pack-quantized   weight_packed [n, k / per], neighbouring columns in a word, with weight_shape; zeros, where there
//   are
//                    any, weight_zero_point [n / per, groups], neighbouring rows in a word. Both are stored 2^(bits -
//                    1) higher.
//   int-quantized    weight, and weight_zero_point, of type I8
//   float-quantized  weight of type F8_E4M3
// weight_scale is [n, groups], [n, 1] or [1]; of FP8 in blocks [n / rows, k / columns]. weight_g_idx [k] is the group
// of each column where they were quantized in the order of their activations.
#include "model/format/grouped_integers.h"

namespace strata {
namespace {

// What the formats have in common: scales and groups.
Status read_groups(PackedModule& module, GroupedIntegers& w) {
  const SafetensorsTensor* scale = module.find("weight_scale");
  if (scale == nullptr) return module.wrong("weight_scale", "is missing (download the model again)");
  ASSIGN_OR_RETURN(w.scales, module.require("weight_scale", scale->shape.size() == 1 ? 1 : 2, kScaleTypes));
  w.n_groups = scale->shape.size() == 2 ? scale->shape[1] : 1;
  w.scale_row_step = scale->shape[0] == 1 ? 0 : w.n_groups;
  w.scale_group_step = 1;
  if (scale->shape[0] != 1 && scale->shape[0] != w.n) {
    return module.wrong("weight_scale",
                        "has " + std::to_string(scale->shape[0]) + " rows, the weight has " + std::to_string(w.n));
  }
  w.parts.push_back(scale->data);
  if (module.find("weight_g_idx") == nullptr) return ok_status();
  ASSIGN_OR_RETURN(w.group_of, module.require("weight_g_idx", 1, "I32 I64"));
  if (whole_number_at(*w.group_of, 0) == -1) {  // never set: the columns are in order
    w.group_of = nullptr;
    return ok_status();
  }
  if (w.group_of->shape[0] != w.k) return module.wrong("weight_g_idx", "has not one entry for each column");
  return ok_status();
}

Result<PackedWeight> read_packed(PackedModule& module) {
  ASSIGN_OR_RETURN(const SafetensorsTensor* packed, module.require("weight_packed", 2, "I32"));
  ASSIGN_OR_RETURN(const SafetensorsTensor* shape, module.require("weight_shape", 1, "I64 I32"));
  if (shape->shape[0] != 2) return module.wrong("weight_shape", "is no shape of a matrix");
  GroupedIntegers w;
  w.n = whole_number_at(*shape, 0);
  w.k = whole_number_at(*shape, 1);
  const int64_t words = packed->shape[1];
  if (w.n != packed->shape[0] || w.k <= 0 || w.k > words * 8)
    return module.wrong("weight_shape", "does not fit to weight_packed");
  w.codes.bits = words == (w.k + 7) / 8 ? 4 : 8;
  if (w.codes.bits == 8 && words != (w.k + 3) / 4) {
    return module.wrong("weight_packed", "holds neither 4 nor 8 bits a number, which are supported");
  }
  w.codes.data = packed->data;
  w.codes.row_step = words;
  w.parts = {packed->data};
  RETURN_IF_ERROR(read_groups(module, w));
  if (module.find("weight_zero_point") == nullptr) {
    w.zero = 1 << (w.codes.bits - 1);
    return make_weight(module, std::move(w));
  }
  ASSIGN_OR_RETURN(const SafetensorsTensor* zeros, module.require("weight_zero_point", 2, "I32"));
  const int64_t per = w.codes.per_word();
  if (zeros->shape != std::vector<int64_t>{(w.n + per - 1) / per, w.n_groups} || w.scale_row_step == 0) {
    return module.wrong("weight_zero_point", "its shape does not fit to weight_packed and weight_scale");
  }
  w.zeros = PackedIntegers{zeros->data, w.codes.bits, true, w.n_groups, 1};
  w.parts.push_back(zeros->data);
  return make_weight(module, std::move(w));
}

Result<PackedWeight> read_int8(PackedModule& module) {
  ASSIGN_OR_RETURN(const SafetensorsTensor* weight, module.require("weight", 2, "I8"));
  GroupedIntegers w;
  w.n = weight->shape[0];
  w.k = weight->shape[1];
  if (w.k % 4 != 0) return module.wrong("weight", "has rows of no whole number of words, which are not supported");
  w.codes = {weight->data, 8, false, w.k / 4, 1, false, true};
  w.parts = {weight->data};
  RETURN_IF_ERROR(read_groups(module, w));
  w.zero = 128;
  const SafetensorsTensor* zeros = module.find("weight_zero_point");
  if (zeros == nullptr) return make_weight(module, std::move(w));
  if (zeros->type_name != "I8" || zeros->shape != w.scales->shape) {
    return module.wrong("weight_zero_point", "expected the shape of weight_scale and the type I8");
  }
  // A matrix of single bytes: as one word after the other it has neighbouring groups side by side.
  if (w.n_groups == 1) {
    w.zeros = PackedIntegers{zeros->data, 8, true, w.scale_row_step == 0 ? 0 : 1, 1, false, true};
    if (w.scale_row_step == 0 && w.n > 1)
      return module.wrong("weight_zero_point", "one zero for all rows is not supported");
  } else if (w.n_groups % 4 == 0) {
    w.zeros = PackedIntegers{zeros->data, 8, false, w.n_groups / 4, 1, false, true};
  } else {
    return module.wrong("weight_zero_point", "groups whose number is no multiple of 4 are not supported");
  }
  w.zero = 0;
  w.parts.push_back(zeros->data);
  return make_weight(module, std::move(w));
}

}  // namespace

Result<PackedWeight> read_compressed_tensors(PackedModule& module, const ConfigView& scheme) {
  if (module.find("weight_packed") != nullptr) return read_packed(module);
  const SafetensorsTensor* weight = module.find("weight");
  if (weight == nullptr) return module.wrong("weight", "is missing, and there is no weight_packed");
  return weight->type_name == "I8" ? read_int8(module) : read_fp8(module, scheme);
}

}  // namespace strata
