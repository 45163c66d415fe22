// Packed weights of safetensors stand for exactly the numbers of their scheme's formula
// (tools/goldens/packed_weights.py).
#include "model/format/packed_module.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/thread_pool.h"
#include "compute/tensor/quant_blocks.h"
#include "model/format/checkpoint.h"
#include "model/format/quantize.h"
#include "test_data.h"
#include "test_files.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path packed(const std::string& name) { return test::source_dir() / "tests" / "data" / "packed" / name; }

std::vector<float> values(const TensorInfo& tensor) {
  const int64_t k = tensor.shape.back();
  int64_t n = 1;
  for (size_t i = 0; i + 1 < tensor.shape.size(); ++i) n *= tensor.shape[i];
  std::vector<std::byte> buffer;
  std::vector<float> out(static_cast<size_t>(n * k));
  for (int64_t row = 0; row < n; ++row) {
    dequantize_row(tensor.type, tensor.rows(row, row + 1, buffer).data(), out.data() + row * k, k);
  }
  return out;
}

std::string hash(const std::vector<float>& numbers) {
  uint64_t value = 0xCBF29CE484222325ULL;
  for (const std::byte b : std::as_bytes(std::span(numbers)))
    value = (value ^ static_cast<uint64_t>(b)) * 0x100000001B3ULL;
  char out[24];
  std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(value));
  return out;
}

struct Case {
  const char* name;
  DType type;
  const char* packing;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class PackedFolder : public testing::TestWithParam<Case> {};

TEST_P(PackedFolder, StandsForTheNumbersOfTheFormula) {
  const auto checkpoint = Checkpoint::open(packed(GetParam().name));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->packing(), GetParam().packing);
  EXPECT_TRUE(checkpoint->unusable_tensors().empty());
  EXPECT_EQ(checkpoint->tensors().size(), 12u);
  const json golden = json::parse(test::read_text(packed(GetParam().name) / "golden.json"));
  ASSERT_EQ(golden["weights"].size(), 7u);
  for (const auto& [name, expected] : golden["weights"].items()) {
    const TensorInfo* tensor = checkpoint->find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->type, GetParam().type) << name;
    EXPECT_EQ(hash(values(*tensor)), expected.get<std::string>()) << name;
    checkpoint->release(*tensor);
    std::vector<std::byte> rows, row;  // several rows at once are the same bytes
    tensor->rows(1, 4, rows);
    EXPECT_EQ(std::memcmp(rows.data() + rows.size() / 3, tensor->rows(2, 3, row).data(), rows.size() / 3), 0) << name;
  }
}

TEST(PackedModule, ReadsMxfp4OfGptOss) {
  const auto checkpoint = Checkpoint::open(packed("mxfp4"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->packing(), "mxfp4");
  EXPECT_TRUE(checkpoint->unusable_tensors().empty());
  const json golden = json::parse(test::read_text(packed("mxfp4") / "golden.json"));
  ASSERT_EQ(golden["weights"].size(), 2u);
  for (const auto& [name, expected] : golden["weights"].items()) {
    const TensorInfo* tensor = checkpoint->find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->type, DType::kMXFP4);
    EXPECT_EQ(hash(values(*tensor)), expected.get<std::string>()) << name;
  }
}

TEST_P(PackedFolder, BecomesGguf) {
  const test::TemporaryFolder folder;
  ThreadPool pool(2);
  const auto source = Checkpoint::open(packed(GetParam().name));
  ASSERT_TRUE(source.ok()) << source.status().message();
  for (const char* type : {"F32", "Q8_0"}) {
    const fs::path file = folder.path() / (std::string(type) + ".gguf");
    const auto result = quantize_file(packed(GetParam().name), file, type, pool, {});
    ASSERT_TRUE(result.ok()) << result.status().message();
    const auto made = Checkpoint::open(file);
    ASSERT_TRUE(made.ok()) << made.status().message();
    const TensorInfo* from = source->find("model.layers.0.mlp.down_proj.weight");
    const TensorInfo* to = made->find("model.layers.0.mlp.down_proj.weight");
    ASSERT_TRUE(from != nullptr && to != nullptr);
    const std::vector<float> expected = values(*from), actual = values(*to);
    ASSERT_EQ(expected.size(), actual.size());
    double worst = 0, largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(expected[i]) - actual[i]));
      largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    }
    EXPECT_LE(worst, to->type == DType::kF32 ? 0 : largest / 127) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Schemes, PackedFolder,
    testing::Values(Case{"gptq", DType::kInt4, "gptq, 4 bits, groups of 32"},
                    Case{"gptq-asym", DType::kInt4, "gptq, 4 bits, groups of 32"},
                    Case{"gptq-v2-act-order", DType::kF32,
                         "gptq, 4 bits, groups of 32, columns in the order of their activations"},
                    Case{"gptq-8bit", DType::kInt8, "gptq, 8 bits, groups of 32"},
                    Case{"awq", DType::kInt4, "awq, 4 bits, groups of 32"},
                    Case{"ct-pack", DType::kInt4, "compressed-tensors pack-quantized"},
                    Case{"ct-pack-asym-channel", DType::kInt4, "compressed-tensors pack-quantized"},
                    Case{"ct-pack-act-order", DType::kF32, "compressed-tensors pack-quantized"},
                    Case{"ct-int8", DType::kInt8, "compressed-tensors int-quantized"},
                    Case{"ct-int8-asym", DType::kF32, "compressed-tensors int-quantized"},
                    Case{"ct-fp8-channel", DType::kFP8, "compressed-tensors float-quantized"},
                    Case{"ct-fp8-block", DType::kFP8, "compressed-tensors float-quantized"},
                    Case{"fp8-block", DType::kFP8, "fp8, blocks of 48 x 32"}, Case{"fp8-tensor", DType::kFP8, "fp8"}),
    [](const auto& tested) {
      std::string name = tested.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

// Headers of folders that cannot be what they say.
struct Tensor {
  const char* name;
  const char* dtype;
  std::vector<int64_t> shape;
  size_t bytes;
};

std::string refusal(const std::string& quantization, const std::vector<Tensor>& tensors) {
  json header = json::object();
  size_t at = 0;
  for (const Tensor& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.bytes}}};
    at += tensor.bytes;
  }
  const test::TemporaryFolder folder;
  folder.write("config.json", R"({"quantization_config": )" + quantization + "}");
  folder.write("model.safetensors", test::safetensors(header.dump(), at));
  const auto checkpoint = Checkpoint::open(folder.path());
  return checkpoint.ok() ? "opened" : checkpoint.status().message();
}

void expect_part(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

const std::string kGptq = R"({"quant_method": "gptq", "bits": 4})";
const Tensor kWords = {"m.qweight", "I32", {8, 16}, 512}, kZeros = {"m.qzeros", "I32", {2, 2}, 16},
             kScales = {"m.scales", "F16", {2, 16}, 64}, kOrder = {"m.g_idx", "I32", {64}, 256};

TEST(PackedModule, SaysWhichSchemeIsNotKnown) {
  expect_part(refusal(R"({"quant_method": "bitsandbytes", "load_in_4bit": true})", {}),
              "bitsandbytes' is not supported");
  expect_part(refusal(R"({"quant_method": "gptq", "checkpoint_format": "marlin"})", {kWords}),
              "marlin is not supported");
  expect_part(refusal(R"({"quant_method": "awq", "version": "gemv"})", {kWords}), "gemv is not supported");
  expect_part(refusal(R"({"quant_method": "awq", "bits": 3})", {kWords}), "3 bits");
  expect_part(refusal(R"({"quant_method": 4})", {}), "quant_method");
  expect_part(
      refusal(R"({"quant_method": "fp8"})", {{"m.weight", "F8_E5M2", {2, 2}, 4}, {"m.weight_scale", "F32", {1}, 4}}),
      "F8_E5M2, expected F8_E4M3");
}

TEST(PackedModule, NamesTheTensorThatDoesNotFit) {
  EXPECT_EQ(refusal(kGptq, {kWords, kZeros, kScales, kOrder}), "opened");
  EXPECT_EQ(refusal(kGptq, {kWords, kZeros, kScales}), "opened");
  expect_part(refusal(kGptq, {kWords, kScales}), "m.qzeros': is missing");
  expect_part(refusal(kGptq, {kWords, kZeros}), "m.scales': is missing");
  expect_part(refusal(kGptq, {{"m.qweight", "F32", {8, 16}, 512}, kZeros, kScales}), "m.qweight': has the type F32");
  expect_part(refusal(kGptq, {{"m.qweight", "I32", {128}, 512}, kZeros, kScales}), "1 dimensions, expected 2");
  expect_part(refusal(kGptq, {kWords, kZeros, {"m.scales", "F16", {2, 15}, 60}}), "m.qzeros'");
  expect_part(refusal(kGptq, {kWords, {"m.qzeros", "I32", {2, 1}, 8}, kScales}), "m.qzeros'");
  expect_part(refusal(kGptq, {kWords, kZeros, kScales, {"m.g_idx", "I32", {60}, 240}}), "neither 4 nor 8 bits");
  expect_part(refusal(R"({"quant_method": "gptq"})", {kWords, kZeros, kScales}), "bits");
  const std::string awq = R"({"quant_method": "awq"})";
  expect_part(refusal(awq, {{"m.qweight", "I32", {64, 2}, 512}, kZeros, kScales, kOrder}), "opened");
  expect_part(refusal(awq, {{"m.qweight", "I32", {64, 3}, 768}, kZeros, kScales}), "m.qzeros'");
  expect_part(refusal(awq, {{"m.qweight", "I32", {65, 2}, 520}, kZeros, kScales}), "65 columns are no 2 groups");
}

TEST(PackedModule, NamesWhatCompressedTensorsLack) {
  const std::string scheme = R"({"quant_method": "compressed-tensors", "format": "pack-quantized"})";
  const Tensor words = {"m.weight_packed", "I32", {16, 8}, 512}, shape = {"m.weight_shape", "I64", {2}, 16},
               scale = {"m.weight_scale", "BF16", {16, 2}, 64};
  expect_part(refusal(scheme, {words, scale, shape}), "m.weight_shape': does not fit");  // zeros
  expect_part(refusal(scheme, {words, scale}), "m.weight_shape': is missing");
  expect_part(refusal(scheme, {{"m.weight_scale", "BF16", {16, 2}, 64}}), "m.weight': is missing");
  const Tensor int8 = {"m.weight", "I8", {16, 64}, 1024};
  EXPECT_EQ(refusal(scheme, {int8, scale}), "opened");
  expect_part(refusal(scheme, {int8, {"m.weight_scale", "BF16", {15, 1}, 30}}), "has 15 rows, the weight has 16");
  expect_part(refusal(scheme, {int8, {"m.weight_scale", "BF16", {16, 3}, 96}}), "64 columns are no 3 groups");
  expect_part(refusal(scheme, {int8, scale, {"m.weight_zero_point", "I8", {16}, 16}}), "m.weight_zero_point'");
  const std::string fp8 = R"({"quant_method": "fp8", "weight_block_size": [8, 0]})";
  const Tensor weight = {"m.weight", "F8_E4M3", {16, 64}, 1024};
  expect_part(refusal(fp8, {weight, {"m.weight_scale_inv", "F32", {2, 2}, 16}}), "2 scales do not fit");
  expect_part(refusal(R"({"quant_method": "fp8"})", {weight, {"m.weight_scale", "F32", {3, 1}, 12}}),
              "3 scales do not fit");
}

TEST(PackedModule, NamesWhatMxfp4Lacks) {
  const std::string scheme = R"({"quant_method": "mxfp4"})";
  const Tensor blocks = {"m_blocks", "U8", {2, 4, 2, 16}, 256}, scales = {"m_scales", "U8", {2, 4, 2}, 16};
  EXPECT_EQ(refusal(scheme, {blocks, scales}), "opened");
  expect_part(refusal(scheme, {blocks}), "m_blocks': its _scales are missing");
  expect_part(refusal(scheme, {blocks, {"m_scales", "U8", {2, 4, 3}, 24}}),
              "m_blocks': its _scales have another shape");
  expect_part(refusal(scheme, {{"m_blocks", "U8", {2, 4, 2, 8}, 128}, scales}), "expected bytes");
}

// Before configurations had a place for it, GPTQ's was a file of its own.
TEST(PackedModule, ReadsGptqsOwnFile) {
  const test::TemporaryFolder folder;
  folder.write("config.json", "{}");
  folder.write("quantize_config.json", R"({"bits": 4, "group_size": 32})");
  folder.write("model.safetensors", test::read_text(packed("gptq") / "model.safetensors"));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->find("model.layers.0.mlp.down_proj.weight")->type, DType::kInt4);
}

}  // namespace
}  // namespace strata
