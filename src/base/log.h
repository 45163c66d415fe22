// Log lines on stderr. Kept free of the logging library so that every file may include it. Thread-safe.
#pragma once

#include <string_view>

namespace strata {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

void set_log_level(LogLevel level);  // default kInfo
void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);

}  // namespace strata
