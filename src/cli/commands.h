// The commands, one file each (command_<name>.cpp), listed in commands.cpp.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "cli/settings.h"

namespace strata::cli {

using Arguments = std::vector<std::string>;

Status run_command(const Settings&, const Arguments&);
Status serve_command(const Settings&, const Arguments&);
Status tokenize_command(const Settings&, const Arguments&);
Status detokenize_command(const Settings&, const Arguments&);
Status logits_command(const Settings&, const Arguments&);
Status score_command(const Settings&, const Arguments&);
Status inspect_command(const Settings&, const Arguments&);
Status graph_command(const Settings&, const Arguments&);
Status imatrix_command(const Settings&, const Arguments&);
Status quantize_command(const Settings&, const Arguments&);
Status train_command(const Settings&, const Arguments&);
Status bench_command(const Settings&, const Arguments&);

}  // namespace strata::cli
