#include "base/status.h"

#include <gtest/gtest.h>

namespace strata {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return invalid_argument("odd", "n");
  return n / 2;
}

Result<int> quarter(int n) {
  ASSIGN_OR_RETURN(const int h, half(n));
  return half(h);
}

TEST(Status, CarriesCodeMessageAndParam) {
  const Result<int> bad = quarter(6);
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(bad.status().param(), "n");
  EXPECT_EQ(bad.status().with_context("quarter").message(), "quarter: odd");
}

TEST(Status, ResultGivesItsValue) {
  const Result<int> good = quarter(8);
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(*good, 2);
}

}  // namespace
}  // namespace strata
