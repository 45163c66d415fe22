// CHECKs for our own bugs: print the place and both values, then abort. Never for user input.
#pragma once

#include <sstream>
#include <string>

namespace strata {

[[noreturn]] void check_failed(const char* file, int line, const std::string& message);

namespace check_internal {
template <class A, class B>
[[noreturn]] [[gnu::noinline]] void compare_failed(const char* file, int line, const char* text, const A& a,
                                                   const B& b) {
  std::ostringstream out;
  out << text << " (" << +a << " vs " << +b << ")";
  check_failed(file, line, out.str());
}
}  // namespace check_internal

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) [[unlikely]]                            \
      ::strata::check_failed(__FILE__, __LINE__, #condition); \
  } while (0)
#define STRATA_CHECK_OP(a, op, b)                                                                        \
  do {                                                                                                   \
    const auto& check_a = (a);                                                                           \
    const auto& check_b = (b);                                                                           \
    if (!(check_a op check_b)) [[unlikely]]                                                              \
      ::strata::check_internal::compare_failed(__FILE__, __LINE__, #a " " #op " " #b, check_a, check_b); \
  } while (0)
#define CHECK_EQ(a, b) STRATA_CHECK_OP(a, ==, b)
#define CHECK_NE(a, b) STRATA_CHECK_OP(a, !=, b)
#define CHECK_LT(a, b) STRATA_CHECK_OP(a, <, b)
#define CHECK_LE(a, b) STRATA_CHECK_OP(a, <=, b)
#define CHECK_GT(a, b) STRATA_CHECK_OP(a, >, b)
#define CHECK_GE(a, b) STRATA_CHECK_OP(a, >=, b)

}  // namespace strata
