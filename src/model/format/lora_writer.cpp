#include "model/format/lora_writer.h"

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "model/format/safetensors_writer.h"

namespace strata {
namespace {

constexpr std::string_view kWeight = ".weight";

std::string module_of(const std::string& weight) {
  return weight.ends_with(kWeight) ? weight.substr(0, weight.size() - kWeight.size()) : weight;
}

// Whole where it is: some readers want an integer.
nlohmann::ordered_json number(double value) {
  const auto whole = static_cast<int64_t>(value);
  return static_cast<double>(whole) == value ? nlohmann::ordered_json(whole) : nlohmann::ordered_json(value);
}

std::string config_text(const LoraFiles& files) {
  const nlohmann::ordered_json config{{"peft_type", "LORA"},
                                      {"task_type", "CAUSAL_LM"},
                                      {"base_model_name_or_path", files.base},
                                      {"r", files.rank},
                                      {"lora_alpha", number(files.alpha)},
                                      {"use_rslora", false},
                                      {"target_modules", files.targets},
                                      {"fan_in_fan_out", false},
                                      {"lora_dropout", 0.0},
                                      {"bias", "none"},
                                      {"use_dora", false},
                                      {"modules_to_save", nullptr},
                                      {"inference_mode", true}};
  return config.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Status write_tensors(const std::filesystem::path& path, const LoraFiles& files) {
  ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::create(path));
  for (const LoraFactors& factors : files.factors) {
    const std::string module = "base_model.model." + module_of(factors.weight);
    const auto width = [&](std::span<const float> numbers) {
      return static_cast<int64_t>(numbers.size()) / factors.rank;
    };
    RETURN_IF_ERROR(writer.declare_tensor(module + ".lora_A.weight", DType::kF32,
                                          std::vector<int64_t>{factors.rank, width(factors.a)}));
    RETURN_IF_ERROR(writer.declare_tensor(module + ".lora_B.weight", DType::kF32,
                                          std::vector<int64_t>{width(factors.b), factors.rank}));
  }
  RETURN_IF_ERROR(writer.begin_data());
  for (const LoraFactors& factors : files.factors) {
    RETURN_IF_ERROR(writer.write(std::as_bytes(factors.a)));
    RETURN_IF_ERROR(writer.write(std::as_bytes(factors.b)));
  }
  return writer.finish();
}

}  // namespace

Status write_lora_adapter(const std::filesystem::path& folder, const LoraFiles& files) {
  RETURN_IF_ERROR(write_tensors(folder / "adapter_model.safetensors", files));
  const std::string config = config_text(files);
  ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(folder / "adapter_config.json"));
  RETURN_IF_ERROR(file.write(std::as_bytes(std::span(config))));
  return file.commit();
}

}  // namespace strata
