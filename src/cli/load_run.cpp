#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/load.h"
#include "cli/progress.h"
#include "serve/http/client.h"

namespace strata::cli {
namespace {

std::string request_body(const LoadTarget& target, const LoadJob& job) {
  nlohmann::json body{{"model", target.model},
                      {"prompt", prompt_text(job.prompt)},
                      {"max_tokens", job.max_tokens},
                      {"stream", true},
                      {"stream_options", {{"include_usage", true}}},
                      {"ignore_eos", true},
                      {"temperature", 0}};
  if (target.priority != 0) body["priority"] = target.priority;
  return body.dump();
}

// What one event says. Only the events that are not plain tokens are parsed: the load shares the machine with the
// server it measures.
class Listener {
 public:
  Listener(LoadOutcome& outcome, TimePoint due) : outcome_(outcome), due_(due) {}

  bool hear(const http::SseEvent& event) {
    const double now = to_seconds(steady_clock().now() - due_);
    if (event.data == "[DONE]") {
      done_ = true;
      return true;
    }
    if (event.event == "error" || event.data.find("\"error\"") != std::string::npos) {
      outcome_.error = event.data;
      return false;
    }
    if (event.data.find("\"completion_tokens\"") != std::string::npos) {
      const nlohmann::json usage = nlohmann::json::parse(event.data, nullptr, false).value("usage", nlohmann::json());
      if (usage.is_object()) {
        outcome_.prompt_tokens = usage.value("prompt_tokens", 0);
        told_tokens_ = usage.value("completion_tokens", 0);
      }
      if (event.data.find("\"choices\":[]") != std::string::npos) return true;
    }
    if (outcome_.tokens == 0) {
      outcome_.first_s = now;
    } else {
      outcome_.gaps_s.push_back(now - last_);
    }
    last_ = now;
    ++outcome_.tokens;
    return true;
  }

  // A token that is the first part of a character comes with the next one: the usage counts what events do not show.
  void finish() {
    if (outcome_.error.empty() && !done_) outcome_.error = "the stream ended early";
    if (outcome_.error.empty() && outcome_.tokens == 0) outcome_.error = "no token";
    if (told_tokens_ > 0) outcome_.tokens = told_tokens_;
  }

 private:
  LoadOutcome& outcome_;
  TimePoint due_;
  double last_ = 0;
  int told_tokens_ = 0;
  bool done_ = false;
};

LoadOutcome run_job(const LoadTarget& target, const LoadJob& job, TimePoint due) {
  LoadOutcome outcome;
  http::Client client(target.host, target.port, std::chrono::seconds(600));
  Listener listener(outcome, due);
  const auto response =
      client.stream("POST", "/v1/completions", request_body(target, job), {{"content-type", "application/json"}},
                    [&](const http::SseEvent& event) { return listener.hear(event); });
  outcome.total_s = to_seconds(steady_clock().now() - due);
  if (response.ok()) outcome.status = response->status;
  if (!response.ok()) {
    outcome.error = response.status().message();
  } else if (response->status != 200) {
    outcome.error = fmt::format("HTTP {}: {}", response->status, response->body.substr(0, 200));
  } else {
    listener.finish();
  }
  return outcome;
}

}  // namespace

std::vector<LoadOutcome> run_load(const LoadTarget& target, const std::vector<LoadJob>& jobs, int clients) {
  std::vector<LoadOutcome> outcomes(jobs.size());
  std::atomic<size_t> next{0};
  Progress progress("bench serve", static_cast<double>(jobs.size()));
  std::mutex draw;
  double done = 0;
  const TimePoint start = steady_clock().now();
  const auto run_one = [&](size_t i, TimePoint due) {
    outcomes[i] = run_job(target, jobs[i], due);
    outcomes[i].at_s = to_seconds(due - start);
    const std::lock_guard lock(draw);
    progress.update(++done);
  };
  std::vector<std::jthread> threads;
  if (clients == 0) {  // every request on a thread of its own; late ones count from the time they were due
    for (size_t i = 0; i < jobs.size(); ++i) {
      const TimePoint due = start + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(jobs[i].at_s));
      std::this_thread::sleep_until(due);
      threads.emplace_back(run_one, i, due);
    }
  } else {
    for (int c = 0; c < std::min<int>(clients, static_cast<int>(jobs.size())); ++c) {
      threads.emplace_back([&] {
        for (size_t i = next++; i < jobs.size(); i = next++) run_one(i, steady_clock().now());
      });
    }
  }
  threads.clear();
  return outcomes;
}

}  // namespace strata::cli
