// The three benches behind `strata bench`.
#pragma once

#include "cli/commands.h"

namespace strata::cli {

Status bench_model(const Settings& settings, const std::string& path);
Status bench_machine(const Settings& settings);
Status bench_serve(const Settings& settings, const std::string& url);
Result<std::vector<int64_t>> parse_sizes(const std::string& text, const std::string& option);

}  // namespace strata::cli
