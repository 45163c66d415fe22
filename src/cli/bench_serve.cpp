// bench serve URL: streams completions from a running server, closed loop (a number of clients that each wait for their
// answer), open loop (a rate, whatever is still running) or the arrival times and sizes of a recorded trace.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "cli/bench.h"
#include "cli/progress.h"
#include "cli/runtime.h"
#include "serve/http/client.h"

namespace strata::cli {
namespace {

struct Target {
  std::string host;
  int port = 80;
  std::string model;
};

struct Job {
  double at_s = 0;  // after the start; closed loop: at once
  int prompt_words = 0;
  int max_tokens = 0;
};

struct Outcome {
  bool ok = false;
  std::string error;
  double first_token_s = 0, total_s = 0;
  int tokens = 0;
  std::vector<double> gaps_s;
};

Result<Target> parse_url(std::string url) {
  Target target;
  if (url.rfind("http://", 0) != 0)
    return invalid_argument("bench serve: expected http://HOST:PORT, got \"" + url + "\"");
  url = url.substr(7, url.find('/', 7) - 7);
  const size_t colon = url.rfind(':');
  target.host = url.substr(0, colon);
  if (colon != std::string::npos) {
    const auto [end, error] = std::from_chars(url.data() + colon + 1, url.data() + url.size(), target.port);
    if (error != std::errc() || end != url.data() + url.size())
      return invalid_argument("bench serve: no port in \"" + url + "\"");
  }
  return target;
}

// Words that any vocabulary has; which ones depends on the job's number, so that prompts share no prefix.
std::string make_prompt(int words, size_t job) {
  static constexpr const char* kWords[] = {"the",   "king", "went",     "into", "a",     "forest", "and", "said",
                                           "to",    "his",  "daughter", "that", "river", "was",    "old", "when",
                                           "night", "came", "home",     "with", "bread", "for",    "all", "her"};
  std::string text = "Tale " + std::to_string(job) + ":";
  uint64_t state = job * 0x9E3779B97F4A7C15ULL + 1;
  for (int i = 0; i < words; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    text += std::string(" ") + kWords[(state >> 33) % std::size(kWords)];
  }
  return text;
}

Outcome run_job(const Target& target, const Job& job, size_t number) {
  Outcome outcome;
  http::Client client(target.host, target.port, std::chrono::seconds(600));
  const nlohmann::json body{{"model", target.model},        {"prompt", make_prompt(job.prompt_words, number)},
                            {"max_tokens", job.max_tokens}, {"stream", true},
                            {"ignore_eos", true},           {"temperature", 0}};
  const TimePoint start = steady_clock().now();
  double last = 0;
  bool failed = false;
  const auto response = client.stream(
      "POST", "/v1/completions", body.dump(), {{"content-type", "application/json"}}, [&](const http::SseEvent& event) {
        const double now = to_seconds(steady_clock().now() - start);
        if (event.data == "[DONE]") return true;
        if (event.event == "error" || event.data.find("\"error\"") != std::string::npos) {
          outcome.error = event.data;
          failed = true;
          return false;
        }
        if (outcome.tokens == 0) {
          outcome.first_token_s = now;
        } else {
          outcome.gaps_s.push_back(now - last);
        }
        last = now;
        ++outcome.tokens;
        return true;
      });
  outcome.total_s = to_seconds(steady_clock().now() - start);
  if (!response.ok()) {
    outcome.error = response.status().message();
  } else if (response->status != 200) {
    outcome.error = fmt::format("HTTP {}: {}", response->status, response->body.substr(0, 200));
  }
  outcome.ok = outcome.error.empty() && !failed && outcome.tokens > 0;
  return outcome;
}

// Rows "timestamp,context tokens,generated tokens" after a header; timestamps end in HH:MM:SS.fraction.
Result<std::vector<Job>> read_trace(const std::string& path, int limit) {
  std::ifstream in(path);
  if (!in) return not_found(path + ": cannot be read");
  std::vector<Job> jobs;
  std::string line;
  std::getline(in, line);
  double first = -1;
  while (static_cast<int>(jobs.size()) < limit && std::getline(in, line)) {
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    std::string day;
    std::string clock;
    Job job;
    int hours = 0;
    int minutes = 0;
    double seconds = 0;
    if (!(fields >> day >> clock >> job.prompt_words >> job.max_tokens) ||
        std::sscanf(clock.c_str(), "%d:%d:%lf", &hours, &minutes, &seconds) != 3) {
      return invalid_argument(
          fmt::format("{}: line {}: expected timestamp, context tokens, generated tokens", path, jobs.size() + 2));
    }
    const double at = hours * 3600 + minutes * 60 + seconds;
    if (first < 0) first = at;
    job.at_s = at - first;
    job.max_tokens = std::max(1, job.max_tokens);
    jobs.push_back(job);
  }
  return jobs;
}

double percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<size_t>(at)];
}

nlohmann::ordered_json percentiles(std::vector<double> values) {
  return {{"p50", percentile(values, 0.5) * 1e3},
          {"p90", percentile(values, 0.9) * 1e3},
          {"p95", percentile(values, 0.95) * 1e3},
          {"p99", percentile(values, 0.99) * 1e3},
          {"max", percentile(values, 1) * 1e3}};
}

std::vector<Outcome> run_all(const Target& target, const std::vector<Job>& jobs, int clients, bool timed) {
  std::vector<Outcome> outcomes(jobs.size());
  std::atomic<size_t> next{0};
  std::atomic<size_t> done{0};
  Progress progress("bench serve", static_cast<double>(jobs.size()));
  std::mutex draw;
  const TimePoint start = steady_clock().now();
  const auto run_one = [&](size_t i) {
    outcomes[i] = run_job(target, jobs[i], i);
    const std::lock_guard lock(draw);
    progress.update(static_cast<double>(++done));
  };
  std::vector<std::jthread> threads;
  if (timed) {  // every request on a thread of its own, at its time
    for (size_t i = 0; i < jobs.size(); ++i) {
      std::this_thread::sleep_until(start +
                                    std::chrono::duration_cast<Duration>(std::chrono::duration<double>(jobs[i].at_s)));
      threads.emplace_back(run_one, i);
    }
  } else {
    for (int c = 0; c < clients; ++c) {
      threads.emplace_back([&] {
        for (size_t i = next++; i < jobs.size(); i = next++) run_one(i);
      });
    }
  }
  threads.clear();
  return outcomes;
}

}  // namespace

Status bench_serve(const Settings& settings, const std::string& url) {
  ASSIGN_OR_RETURN(Target target, parse_url(url));
  http::Client client(target.host, target.port);
  const auto models = client.request("GET", "/v1/models");
  if (!models.ok()) return models.status().with_context("bench serve: " + url);
  const nlohmann::json list = nlohmann::json::parse(models->body, nullptr, false);
  if (list.is_discarded() || !list.contains("data") || list["data"].empty())
    return unavailable("bench serve: " + url + " lists no models");
  target.model = list["data"][0].value("id", "");

  std::vector<Job> jobs;
  if (!settings.trace.empty()) {
    ASSIGN_OR_RETURN(jobs, read_trace(settings.trace, settings.requests));
  } else {
    for (int i = 0; i < settings.requests; ++i)
      jobs.push_back({settings.rate > 0 ? i / settings.rate : 0, settings.prompt_words, settings.n_tokens});
  }
  const bool timed = settings.rate > 0 || !settings.trace.empty();
  const TimePoint start = steady_clock().now();
  const std::vector<Outcome> outcomes = run_all(target, jobs, settings.concurrency, timed);
  const double wall = to_seconds(steady_clock().now() - start);

  std::vector<double> first, total, gaps;
  int64_t tokens = 0;
  int64_t failures = 0;
  std::string an_error;
  for (const Outcome& o : outcomes) {
    if (!o.ok) {
      ++failures;
      an_error = o.error;
      continue;
    }
    first.push_back(o.first_token_s);
    total.push_back(o.total_s);
    gaps.insert(gaps.end(), o.gaps_s.begin(), o.gaps_s.end());
    tokens += o.tokens;
  }
  const nlohmann::ordered_json json{{"requests", jobs.size()},
                                    {"failures", failures},
                                    {"seconds", wall},
                                    {"output_tok_s", static_cast<double>(tokens) / wall},
                                    {"ttft_ms", percentiles(first)},
                                    {"inter_token_ms", percentiles(gaps)},
                                    {"e2e_ms", percentiles(total)}};
  if (settings.json) {
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf("%zu requests in %.1f s, %lld failed, %.1f output tokens/s\n", jobs.size(), wall,
                static_cast<long long>(failures), static_cast<double>(tokens) / wall);
    std::printf("%-16s %10s %10s %10s %10s %10s   (ms)\n", "", "p50", "p90", "p95", "p99", "max");
    for (const char* row : {"ttft_ms", "inter_token_ms", "e2e_ms"}) {
      std::printf("%-16s %10.1f %10.1f %10.1f %10.1f %10.1f\n", row, json[row]["p50"].get<double>(),
                  json[row]["p90"].get<double>(), json[row]["p95"].get<double>(), json[row]["p99"].get<double>(),
                  json[row]["max"].get<double>());
    }
  }
  return failures == 0 ? ok_status()
                       : unavailable(fmt::format("bench serve: {} of {} requests failed, e.g.: {}", failures,
                                                 jobs.size(), an_error));
}

}  // namespace strata::cli
