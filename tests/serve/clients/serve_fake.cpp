// A real server on scripted models, for the tests with real clients: serve_fake PORT [KEY] (PORT 0: any free one).
// Prints the port it listens at and ends when its standard input does. Models: story, slow (20 ms a step), broken
// (every step fails), vectors (embeds), judge (ranks).
#include <cstdio>
#include <cstdlib>
#include <string>

#include "../api/scripted_embedder.h"
#include "base/log.h"
#include "serve/api/api_server.h"

int main(int argc, char** argv) {
  strata::set_log_level(strata::LogLevel::kWarning);
  strata::Metrics metrics;
  strata::test::ScriptedModel model(metrics, "story", 2048);
  strata::test::ScriptedModel slow(metrics, "slow", 2048);
  slow.control.step_ms = 20;
  strata::test::ScriptedModel broken(metrics, "broken", 2048);
  broken.control.broken = true;
  strata::test::ScriptedEmbedding vectors(metrics, "vectors", false), judge(metrics, "judge", true);
  strata::api::ApiOptions options;
  options.http.port = argc > 1 ? std::atoi(argv[1]) : 0;
  if (argc > 2) options.api_keys = {argv[2]};
  strata::api::ApiServer server(options, metrics);
  strata::Status status = server.start();
  for (strata::test::ScriptedModel* served : {&model, &slow, &broken}) {
    if (status.ok()) status = server.add_model(served->host);
  }
  for (strata::test::ScriptedEmbedding* served : {&vectors, &judge}) {
    if (status.ok()) status = server.add_model(served->host);
  }
  if (!status.ok()) {
    std::fprintf(stderr, "serve_fake: error: %s\n", status.message().c_str());
    return 1;
  }
  std::printf("%d\n", server.port());
  std::fflush(stdout);
  while (std::getchar() != EOF) continue;
  server.drain();
  server.wait_drained(std::chrono::seconds(2));
  server.stop();
  return 0;
}
