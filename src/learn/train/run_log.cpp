#include "learn/train/run_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "learn/train/run_folder.h"

namespace strata {
namespace {

using nlohmann::json;

std::string text_of(const StepLog& line) {
  nlohmann::ordered_json object{{"step", line.step},
                                {"loss", line.loss},
                                {"learning_rate", line.learning_rate},
                                {"gradient_norm", line.gradient_norm},
                                {"tokens_per_second", std::round(line.tokens_per_second)},
                                {"fraction_of_peak", std::round(line.fraction_of_peak * 1e4) / 1e4},
                                {"seconds", std::round(line.seconds * 1e6) / 1e6}};
  if (line.validation_loss) object["validation_loss"] = *line.validation_loss;
  for (const auto& [name, value] : line.more) object[name] = value;
  return object.dump() + "\n";
}

std::optional<StepLog> line_of(const std::string& text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto number = [&](const char* key) {
    return object.contains(key) && object[key].is_number() ? object[key].get<double>() : 0.0;
  };
  StepLog line{static_cast<int64_t>(number("step")), number("loss"), number("learning_rate"), number("gradient_norm"),
               number("tokens_per_second"), number("fraction_of_peak"), number("seconds")};
  if (object.contains("validation_loss")) line.validation_loss = number("validation_loss");
  return line;
}

}  // namespace

Result<RunLog> RunLog::open(const std::filesystem::path& path, int64_t step) {
  RunLog log;
  log.path_ = path;
  std::ifstream in(path);
  std::string text, kept;
  while (std::getline(in, text)) {
    const std::optional<StepLog> line = line_of(text);
    if (!line || line->step > step || line->step != static_cast<int64_t>(log.lines_.size()) + 1) break;
    log.lines_.push_back(*line);
    kept += text + "\n";
  }
  RETURN_IF_ERROR(write_text(path, kept));
  return log;
}

std::vector<StepLog> RunLog::read(const std::filesystem::path& path) {
  std::vector<StepLog> lines;
  std::ifstream in(path);
  std::string text;
  while (std::getline(in, text)) {
    const std::optional<StepLog> line = line_of(text);
    if (!line) break;
    lines.push_back(*line);
  }
  return lines;
}

Status RunLog::add(const StepLog& line) {
  std::ofstream out(path_, std::ios::app);
  out << text_of(line) << std::flush;
  if (!out) return unavailable(path_.string() + ": cannot be written (is the disk full?)");
  lines_.push_back(line);
  return ok_status();
}

std::string loss_svg(const std::vector<StepLog>& lines) {
  constexpr double kWidth = 720, kHeight = 400, kLeft = 60, kTop = 20, kRight = 20, kBottom = 40;
  constexpr size_t kPoints = 1000;
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (const StepLog& line : lines) {
    low = std::min({low, line.loss, line.validation_loss.value_or(line.loss)});
    high = std::max({high, line.loss, line.validation_loss.value_or(line.loss)});
  }
  if (lines.empty()) low = 0, high = 1;
  if (high - low < 1e-9) high = low + 1;
  const auto last = static_cast<double>(std::max<int64_t>(2, lines.empty() ? 2 : lines.back().step));
  const auto x = [&](int64_t step) {
    return kLeft + (static_cast<double>(step) - 1) / (last - 1) * (kWidth - kLeft - kRight);
  };
  const auto y = [&](double loss) { return kTop + (high - loss) / (high - low) * (kHeight - kTop - kBottom); };
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      kWidth, kHeight);
  for (int i = 0; i <= 4; ++i) {
    const double loss = low + (high - low) * i / 4;
    const auto step = static_cast<int64_t>(1 + (last - 1) * i / 4);
    svg += fmt::format("<line x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", kLeft,
                       kWidth - kRight, y(loss), y(loss));
    svg += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.3f}</text>\n", kLeft - 6, y(loss) + 4, loss);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", x(step), kHeight - 20, step);
  }
  svg += "<polyline fill=\"none\" stroke=\"#2563eb\" points=\"";
  const size_t stride = 1 + lines.size() / kPoints;
  for (size_t i = 0; i < lines.size(); i += stride)
    svg += fmt::format("{:.1f},{:.1f} ", x(lines[i].step), y(lines[i].loss));
  svg += "\"/>\n";
  for (const StepLog& line : lines) {
    if (!line.validation_loss) continue;
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"#dc2626\"/>\n", x(line.step),
                       y(*line.validation_loss));
  }
  svg += fmt::format(
      "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step (line: training loss; dots: validation)</text>\n",
      kWidth / 2, kHeight - 4);
  return svg + "</svg>\n";
}

}  // namespace strata
