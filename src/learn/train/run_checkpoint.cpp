#include "learn/train/run_checkpoint.h"

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "model/format/safetensors.h"
#include "model/format/safetensors_writer.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kFormat = "strata training checkpoint 1";

std::string shape_text(std::span<const int64_t> shape) {
  std::string text = "[";
  for (const int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

// Calls f(name, shape, numbers) for everything that a checkpoint holds, in one order.
Status each_tensor(const Parameters& parameters, Trainer& trainer,
                   const std::function<Status(const std::string&, const Parameter&, std::span<std::byte>)>& f) {
  for (size_t i = 0; i < parameters.all().size(); ++i) {
    const Parameter& parameter = parameters.all()[i];
    const Trainer::Memory& memory = trainer.memory()[i];
    const auto bytes = [](const AlignedBuffer& buffer) { return std::span(buffer.data(), buffer.size()); };
    RETURN_IF_ERROR(f("weights." + parameter.name, parameter, bytes(parameter.memory)));
    for (size_t m = 0; m < memory.optimizer.size(); ++m)
      RETURN_IF_ERROR(
          f("optimizer." + std::to_string(m) + "." + parameter.name, parameter, bytes(memory.optimizer[m])));
    if (memory.average.size() > 0) RETURN_IF_ERROR(f("average." + parameter.name, parameter, bytes(memory.average)));
  }
  return ok_status();
}

// What training alone needs is not: the projections of hidden states to a teacher's.
bool of_model(const Parameter& parameter) { return !parameter.name.starts_with("distill."); }

}  // namespace

Status save_checkpoint(const fs::path& path, const RunState& state, const Parameters& parameters, Trainer& trainer) {
  ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::create(path));
  writer.set_metadata("format", kFormat);
  writer.set_metadata("step", std::to_string(state.step));
  writer.set_metadata("origin", state.origin);
  const nlohmann::json position{{"epoch", state.position.epoch},
                                {"group", state.position.group},
                                {"record", state.position.record},
                                {"token", state.position.token}};
  writer.set_metadata("position", position.dump());
  RETURN_IF_ERROR(each_tensor(parameters, trainer, [&](const std::string& name, const Parameter& p, auto) {
    return writer.declare_tensor(name, DType::kF32, p.shape);
  }));
  RETURN_IF_ERROR(writer.begin_data());
  RETURN_IF_ERROR(each_tensor(parameters, trainer,
                              [&](const std::string&, const Parameter&, auto bytes) { return writer.write(bytes); }));
  return writer.finish();
}

Result<RunState> load_checkpoint(const fs::path& path, const std::string& origin, Parameters& parameters,
                                 Trainer& trainer) {
  ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::open(path));
  const auto text = [&](const char* key) {
    const auto at = file.metadata().find(key);
    return at == file.metadata().end() ? std::string() : at->second;
  };
  RunState state;
  const nlohmann::json step = nlohmann::json::parse(text("step"), nullptr, false);
  const nlohmann::json position = nlohmann::json::parse(text("position"), nullptr, false);
  if (text("format") != kFormat || !step.is_number_integer() || !position.is_object())
    return data_loss(path.string() + ": not a checkpoint of a training run (give another --out)");
  RETURN_IF_ERROR(each_tensor(parameters, trainer, [&](const std::string& name, const Parameter& p, auto) {
    const SafetensorsTensor* tensor = file.find(name);
    if (tensor == nullptr)
      return invalid_argument(path.string() + ": tensor " + name + " is missing: the checkpoint is of another model");
    if (tensor->shape != p.shape || tensor->type != DType::kF32) {
      return invalid_argument(path.string() + ": tensor " + name + " is " + shape_text(tensor->shape) +
                              ", the recipe's model has " + shape_text(p.shape) + " (give another --out)");
    }
    return ok_status();
  }));
  if (text("origin") != origin) {
    return invalid_argument(path.string() +
                            ": the recipe or the corpus is not the one that the run began with (give the "
                            "same again, or another --out)");
  }
  RETURN_IF_ERROR(each_tensor(parameters, trainer, [&](const std::string& name, const Parameter&, auto bytes) {
    std::memcpy(bytes.data(), file.find(name)->data.data(), bytes.size());
    return ok_status();
  }));
  state.step = step.get<int64_t>();
  state.position = {position.value("epoch", int64_t{0}), position.value("group", int64_t{0}),
                    position.value("record", int64_t{0}), position.value("token", int64_t{0})};
  state.origin = origin;
  trainer.set_step(state.step);
  trainer.refresh();
  return state;
}

std::vector<std::span<const float>> result_numbers(const Parameters& parameters, Trainer& trainer) {
  std::vector<std::span<const float>> numbers;
  for (size_t i = 0; i < parameters.all().size(); ++i) {
    const AlignedBuffer& average = trainer.memory()[i].average;
    const AlignedBuffer& from = average.size() > 0 ? average : parameters.all()[i].memory;
    numbers.emplace_back(reinterpret_cast<const float*>(from.data()), from.size() / sizeof(float));
  }
  return numbers;
}

Status save_weights(const fs::path& path, const Parameters& parameters, Trainer& trainer) {
  ASSIGN_OR_RETURN(SafetensorsWriter writer, SafetensorsWriter::create(path));
  for (const Parameter& parameter : parameters.all()) {
    if (!of_model(parameter)) continue;
    RETURN_IF_ERROR(writer.declare_tensor(parameter.name, DType::kF32, parameter.shape));
  }
  RETURN_IF_ERROR(writer.begin_data());
  const std::vector<std::span<const float>> numbers = result_numbers(parameters, trainer);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (of_model(parameters.all()[i])) RETURN_IF_ERROR(writer.write(std::as_bytes(numbers[i])));
  }
  return writer.finish();
}

}  // namespace strata
