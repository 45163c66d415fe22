#include "cli/load.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "fmt/format.h"

namespace strata::cli {
namespace {

constexpr int kTraceBlock = 512;  // tokens that one hash of a Mooncake trace stands for
constexpr uint64_t kSystemSeed = 1;

// Spread over all 64 bits, so that neither runs nor requests of near seeds resemble each other.
uint64_t mix_seed(uint64_t seed, uint64_t number) {
  uint64_t x = seed * 0x9E3779B97F4A7C15ULL + number + 0x2545F4914F6CDD1DULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

Status bad_line(const std::string& path, size_t line, std::string_view expected) {
  return invalid_argument(fmt::format("{}: line {}: expected {}", path, line, expected));
}

struct TraceRow {
  double at_s = 0;
  int64_t prompt = 0;
  int64_t answer = 0;
  std::vector<uint64_t> hashes;
};

Result<TraceRow> read_azure_row(const std::string& path, size_t number, std::string line) {
  std::replace(line.begin(), line.end(), ',', ' ');
  std::istringstream fields(line);
  std::string day;
  std::string clock;
  TraceRow row;
  int hours = 0;
  int minutes = 0;
  double seconds = 0;
  if (!(fields >> day >> clock >> row.prompt >> row.answer) ||
      std::sscanf(clock.c_str(), "%d:%d:%lf", &hours, &minutes, &seconds) != 3)
    return bad_line(path, number, "timestamp, context tokens, generated tokens");
  row.at_s = hours * 3600 + minutes * 60 + seconds;
  return row;
}

Result<TraceRow> read_mooncake_row(const std::string& path, size_t number, const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  const auto integer = [&](const char* key) { return json.contains(key) && json[key].is_number_integer(); };
  const bool whole = json.is_object() && json.contains("timestamp") && json["timestamp"].is_number() &&
                     integer("input_length") && integer("output_length") && json.contains("hash_ids") &&
                     json["hash_ids"].is_array() &&
                     std::all_of(json["hash_ids"].begin(), json["hash_ids"].end(),
                                 [](const nlohmann::json& id) { return id.is_number_integer(); });
  if (!whole) return bad_line(path, number, "timestamp, input_length, output_length and hash_ids as JSON");
  TraceRow row;
  row.at_s = json["timestamp"].get<double>() / 1e3;
  row.prompt = json["input_length"].get<int64_t>();
  row.answer = json["output_length"].get<int64_t>();
  for (const nlohmann::json& id : json["hash_ids"]) row.hashes.push_back(static_cast<uint64_t>(id.get<int64_t>()));
  return row;
}

int limited(int64_t size, int longest) {
  const int64_t most = longest > 0 ? longest : INT32_MAX;
  return static_cast<int>(std::clamp<int64_t>(size, 1, most));
}

LoadJob make_job(const TraceRow& row, double first_s, const Settings& settings, size_t number) {
  LoadJob job;
  job.at_s = std::max(0.0, row.at_s - first_s) * settings.time_scale;
  job.max_tokens = limited(row.answer, settings.longest_answer);
  int left = limited(row.prompt, settings.longest_prompt);
  for (const uint64_t hash : row.hashes) {
    const int words = std::min(left, kTraceBlock);
    if (words > 0) job.prompt.push_back({mix_seed(settings.seed, hash), words});
    left -= words;
  }
  if (left > 0) job.prompt.push_back({mix_seed(~settings.seed, number), left});
  return job;
}

}  // namespace

std::string prompt_text(const std::vector<PromptPiece>& prompt) {
  // Words that nearly every vocabulary has as one token.
  static constexpr const char* kWords[] = {"the",   "king", "went",     "into", "a",     "forest", "and", "said",
                                           "to",    "his",  "daughter", "that", "river", "was",    "old", "when",
                                           "night", "came", "home",     "with", "bread", "for",    "all", "her"};
  std::string text;
  for (const PromptPiece& piece : prompt) {
    uint64_t state = piece.seed;
    for (int i = 0; i < piece.words; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      if (!text.empty()) text += ' ';
      text += kWords[(state >> 33) % std::size(kWords)];
    }
  }
  return text;
}

Result<std::vector<LoadJob>> make_load(const Settings& settings) {
  if (!settings.trace.empty()) return read_trace(settings);
  std::vector<LoadJob> jobs(static_cast<size_t>(settings.requests));
  std::mt19937_64 random(settings.seed);
  double at_s = 0;
  for (size_t i = 0; i < jobs.size(); ++i) {
    if (settings.system_words > 0) jobs[i].prompt.push_back({kSystemSeed, settings.system_words});
    jobs[i].prompt.push_back({mix_seed(settings.seed, i), settings.prompt_words});
    jobs[i].max_tokens = settings.n_tokens;
    jobs[i].at_s = at_s;
    const double uniform = static_cast<double>(random() >> 11) * 0x1p-53;
    if (settings.rate > 0) at_s -= std::log1p(-uniform) / settings.rate;
  }
  return jobs;
}

Result<std::vector<LoadJob>> read_trace(const Settings& settings) {
  std::ifstream in(settings.trace);
  if (!in) return not_found(settings.trace + ": cannot be read");
  const bool json = in.peek() == '{';
  std::vector<LoadJob> jobs;
  std::string line;
  size_t number = 0;
  if (!json && std::getline(in, line)) ++number;  // the header
  double first_s = 0;
  while (jobs.size() < static_cast<size_t>(settings.requests) && std::getline(in, line)) {
    ++number;
    ASSIGN_OR_RETURN(const TraceRow row, json ? read_mooncake_row(settings.trace, number, line)
                                              : read_azure_row(settings.trace, number, line));
    if (jobs.empty()) first_s = row.at_s;
    jobs.push_back(make_job(row, first_s, settings, number));
  }
  if (jobs.empty()) return invalid_argument(settings.trace + ": no requests");
  return jobs;
}

}  // namespace strata::cli
