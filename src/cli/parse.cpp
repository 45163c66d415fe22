// Command line, environment and configuration file, all through the option table.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <sstream>

#include "cli/settings.h"

namespace strata::cli {
namespace {

bool takes(const Option& option, std::string_view command) {
  std::istringstream words{std::string(option.commands)};
  for (std::string word; words >> word;) {
    if (word == command) return true;
  }
  return false;
}

Invocation stop(int exit_status, std::string text) {
  Invocation invocation;
  invocation.exit_status = exit_status;
  invocation.text = std::move(text);
  return invocation;
}

Invocation usage_error(std::string_view command, const std::string& why) {
  return stop(2, fmt::format("strata: error: {} (see strata help {})\n", why, command));
}

std::string overview() {
  std::string text =
      "strata: language models from weights to a product\n\nUsage: strata COMMAND [ARGUMENTS] [OPTIONS]\n\n";
  for (const Command& command : commands())
    text += fmt::format("  {:<28}{}\n", fmt::format("{} {}", command.name, command.arguments), command.help);
  return text +
         "\nMODEL is a GGUF file or a Hugging Face folder. `strata help COMMAND` lists a command's options; each may "
         "also come from\n"
         "the environment (STRATA_...) or a YAML file (--config).\n";
}

// The values found in the file, by key.
Result<std::map<std::string, std::string>> read_config(const std::string& path) {
  std::map<std::string, std::string> values;
  try {
    const YAML::Node root = YAML::LoadFile(path);
    if (!root.IsMap()) return invalid_argument(path + ": expected keys and values");
    for (const auto& item : root) {
      const auto key = item.first.as<std::string>();
      const bool known = std::any_of(options().begin(), options().end(),
                                     [&](const Option& o) { return !o.key.empty() && o.key == key; });
      if (!known) return invalid_argument(path + ": unknown key " + key + " (docs/options.md lists the keys)");
      if (!item.second.IsScalar()) return invalid_argument(path + ": " + key + ": expected one value");
      values[key] = item.second.as<std::string>();
    }
  } catch (const YAML::Exception& error) {
    return invalid_argument(path + ": " + error.what());
  }
  return values;
}

std::optional<std::string> from_environment(std::string_view key) {
  std::string variable = "STRATA_";
  for (const char c : key) variable += static_cast<char>(std::toupper(c));
  const char* value = std::getenv(variable.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

struct Flags {
  std::map<const Option*, std::string> values;
  std::vector<std::string> arguments;
};

// File, then environment, then flags: the later wins.
Status apply(const Command& command, const Flags& flags, Settings& settings) {
  std::map<std::string, std::string> file;
  for (const auto& [option, value] : flags.values) {
    if (option->flags == "--config") {
      ASSIGN_OR_RETURN(file, read_config(value));
    }
  }
  for (const Option& option : options()) {
    if (!takes(option, command.name)) continue;
    const auto set = [&](const std::string& from, const std::string& value) {
      const Status status = option.set(settings, value);
      return status.ok() ? status : invalid_argument(from + ": " + status.message());
    };
    if (const auto at = file.find(std::string(option.key)); !option.key.empty() && at != file.end()) {
      RETURN_IF_ERROR(set("key " + at->first, at->second));
    }
    if (!option.key.empty()) {
      if (const auto value = from_environment(option.key))
        RETURN_IF_ERROR(set("environment STRATA_" + std::string(option.key), *value));
    }
    if (const auto at = flags.values.find(&option); at != flags.values.end())
      RETURN_IF_ERROR(set(std::string(option.flags), at->second));
  }
  return ok_status();
}

Invocation parse_command(const Command& command, int argc, const char* const* argv, bool help) {
  CLI::App app{std::string(command.help), "strata " + std::string(command.name)};
  std::map<const Option*, std::pair<std::string, bool>> storage;
  const Settings defaults;
  for (const Option& option : options()) {
    if (!takes(option, command.name)) continue;
    auto& slot = storage[&option];
    const std::string flags(option.flags);
    if (option.value.empty()) {
      app.add_flag(flags, slot.second, std::string(option.help));
    } else {
      const std::string shown = option.show(defaults);
      CLI::Option* const flag =
          app.add_option(flags, slot.first, fmt::format("{}{}", option.help, shown.empty() ? "" : " [" + shown + "]"))
              ->type_name(std::string(option.value));
      if (option.repeats) flag->join(',');
    }
  }
  Flags flags;
  app.add_option("arguments", flags.arguments, std::string(command.arguments))
      ->group(command.arguments.empty() ? "" : "Positionals");
  if (help) return stop(0, app.help());
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return stop(0, app.help());
  } catch (const CLI::ParseError& error) {
    return usage_error(command.name, std::string(command.name) + ": " + error.what());
  }
  const int n = static_cast<int>(flags.arguments.size());
  if (n < command.min_arguments || n > command.max_arguments) {
    return usage_error(command.name,
                       fmt::format("{}: expected {}, got {} argument(s)", command.name, command.arguments, n));
  }
  for (auto& [option, slot] : storage) {
    const std::string longest = std::string(option->flags.substr(option->flags.rfind(',') + 1));
    if (app.count(longest) > 0) flags.values[option] = option->value.empty() ? "true" : slot.first;
  }
  Invocation invocation;
  invocation.command = &command;
  invocation.arguments = std::move(flags.arguments);
  if (const Status status = apply(command, flags, invocation.settings); !status.ok())
    return usage_error(command.name, status.message());
  return invocation;
}

}  // namespace

Invocation parse(int argc, const char* const* argv) {
  const std::string first = argc > 1 ? argv[1] : "help";
  const bool help = first == "help" || first == "--help" || first == "-h";
  if (first == "--version") return stop(0, "strata 0.1.0\n");
  const std::string wanted = help ? (argc > 2 ? argv[2] : "") : first;
  if (wanted.empty()) return stop(argc > 1 ? 0 : 2, overview());
  if (help && wanted == "--markdown") return stop(0, options_markdown());
  for (const Command& command : commands()) {
    if (command.name == wanted) return parse_command(command, argc - 1, argv + 1, help);
  }
  return usage_error("", "unknown command " + wanted);
}

}  // namespace strata::cli
