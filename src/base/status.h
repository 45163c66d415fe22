// Expected failures as values. Status says whether an operation worked and, if not, why; Result<T> carries a value or
// the Status of its absence. Our own bugs are CHECKs (check.h); nothing here throws. Values: copy freely, no thread
// rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace strata {

enum class Code : unsigned char {
  kOk,
  kInvalidArgument,  // the caller's input is wrong; `param` may name the field
  kNotFound,
  kUnauthenticated,
  kPermissionDenied,
  kTooLarge,
  kExhausted,  // a limit or resource is used up; trying later may help
  kCancelled,
  kDeadline,
  kUnavailable,  // not ready, or not built into this binary
  kDataLoss,     // a file is truncated or corrupt
  kInternal,
};
std::string_view code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  // `message`: one line, "WHAT: WHY (WHAT TO DO)" where there is something to do.
  Status(Code code, std::string message, std::string param = {})
      : code_(code), message_(std::move(message)), param_(std::move(param)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  const std::string& param() const { return param_; }  // the request field at fault, or empty

  // The same failure with "context: " put before the message.
  Status with_context(std::string_view context) const;

 private:
  Code code_ = Code::kOk;
  std::string message_;
  std::string param_;
};

inline Status ok_status() { return {}; }
inline Status invalid_argument(std::string message, std::string param = {}) {
  return {Code::kInvalidArgument, std::move(message), std::move(param)};
}
inline Status not_found(std::string message) { return {Code::kNotFound, std::move(message)}; }
inline Status data_loss(std::string message) { return {Code::kDataLoss, std::move(message)}; }
inline Status unavailable(std::string message) { return {Code::kUnavailable, std::move(message)}; }
inline Status exhausted(std::string message) { return {Code::kExhausted, std::move(message)}; }
inline Status internal_error(std::string message) { return {Code::kInternal, std::move(message)}; }

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    if (status_.ok()) status_ = internal_error("a Result without a value was given an ok Status");
  }
  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return *std::move(value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

#define STRATA_CONCAT_(a, b) a##b
#define STRATA_CONCAT(a, b) STRATA_CONCAT_(a, b)

// Leaves the function with the Status when it is a failure.
#define RETURN_IF_ERROR(expression)                                                               \
  do {                                                                                            \
    if (::strata::Status strata_status = (expression); !strata_status.ok()) return strata_status; \
  } while (0)

// ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
#define ASSIGN_OR_RETURN(declaration, expression) \
  STRATA_ASSIGN_OR_RETURN_(STRATA_CONCAT(result_, __LINE__), declaration, expression)
#define STRATA_ASSIGN_OR_RETURN_(result, declaration, expression) \
  auto result = (expression);                                     \
  if (!result.ok()) return result.status();                       \
  declaration = *std::move(result)

}  // namespace strata
