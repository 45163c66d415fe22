#include <csignal>
#include <cstdio>

#include "base/log.h"
#include "cli/settings.h"

int main(int argc, char** argv) {
  using namespace strata;
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on the size of files is a failed write, which is handled
  const cli::Invocation invocation = cli::parse(argc, argv);
  if (invocation.command == nullptr) {
    std::fputs(invocation.text.c_str(), invocation.exit_status == 0 ? stdout : stderr);
    return invocation.exit_status;
  }
  set_log_level(invocation.settings.verbose ? LogLevel::kDebug : LogLevel::kInfo);
  const Status status = invocation.command->run(invocation.settings, invocation.arguments);
  if (status.ok()) return 0;
  std::fprintf(stderr, "strata: error: %s\n", status.message().c_str());
  return 1;
}
