// bench serve URL: streams completions from a running server, closed loop (a number of clients that each wait for their
// answer), open loop (a rate, whatever is still running) or the arrival times and sizes of a recorded trace.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/load.h"
#include "cli/load_report.h"
#include "serve/http/client.h"

namespace strata::cli {
namespace {

Result<LoadTarget> parse_url(std::string url) {
  LoadTarget target;
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

Result<std::string> first_model(const LoadTarget& target, const std::string& url) {
  http::Client client(target.host, target.port);
  const auto models = client.request("GET", "/v1/models");
  if (!models.ok()) return models.status().with_context("bench serve: " + url);
  const nlohmann::json list = nlohmann::json::parse(models->body, nullptr, false);
  if (list.is_discarded() || !list.contains("data") || list["data"].empty())
    return unavailable("bench serve: " + url + " lists no models");
  return list["data"][0].value("id", "");
}

// "PREFILL,DECODE", tokens per second.
Status parse_bound(const std::string& text, LoadLimits& limits) {
  if (text.empty()) return ok_status();
  const char* const end = text.data() + text.size();
  const auto prefill = std::from_chars(text.data(), end, limits.prefill_tok_s);
  const bool comma = prefill.ec == std::errc() && prefill.ptr != end && *prefill.ptr == ',';
  const auto decode = std::from_chars(comma ? prefill.ptr + 1 : end, end, limits.decode_tok_s);
  if (!comma || decode.ec != std::errc() || decode.ptr != end || limits.prefill_tok_s <= 0 || limits.decode_tok_s <= 0)
    return invalid_argument("--bound: expected PREFILL,DECODE (tokens/s), got \"" + text + "\"");
  return ok_status();
}

}  // namespace

Status bench_serve(const Settings& settings, const std::string& url) {
  LoadLimits limits{settings.ttft_limit_ms / 1e3, settings.e2e_limit_ms / 1e3, 0, 0};
  RETURN_IF_ERROR(parse_bound(settings.bound, limits));
  ASSIGN_OR_RETURN(LoadTarget target, parse_url(url));
  ASSIGN_OR_RETURN(target.model, first_model(target, url));
  target.priority = settings.priority;
  ASSIGN_OR_RETURN(const std::vector<LoadJob> jobs, make_load(settings));

  const bool open_loop = settings.rate > 0 || !settings.trace.empty();
  const TimePoint start = steady_clock().now();
  const std::vector<LoadOutcome> outcomes = run_load(target, jobs, open_loop ? 0 : settings.concurrency);
  const nlohmann::ordered_json report = load_report(outcomes, to_seconds(steady_clock().now() - start), limits);
  if (settings.json) {
    std::printf("%s\n", report.dump().c_str());
  } else {
    print_load_report(report);
  }
  // A server that sheds load above what it can do is not at fault.
  const auto failed = std::find_if(outcomes.begin(), outcomes.end(), [&](const LoadOutcome& o) {
    return !o.error.empty() && !(open_loop && o.status == 429);
  });
  return failed == outcomes.end()
             ? ok_status()
             : unavailable(fmt::format("bench serve: {} of {} requests failed, e.g.: {}", report["failures"].dump(),
                                       jobs.size(), failed->error));
}

}  // namespace strata::cli
