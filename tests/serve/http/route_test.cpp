#include "serve/http/route.h"

#include <gtest/gtest.h>

namespace strata::http {
namespace {

RouteTable table() {
  return RouteTable({{"GET", "/v1/models", Scope::kInfer, {}},
                     {"POST", "/v1/models/{id*}/predict", Scope::kInfer, {}},
                     {"GET", "/v1/models/{id*}", Scope::kInfer, {}},
                     {"POST", "/items/{item}/parts/{part}", Scope::kInfer, {}}});
}

std::string param(const RouteMatch& match, std::string_view name) {
  for (const auto& [key, value] : match.params) {
    if (key == name) return value;
  }
  return "(none)";
}

TEST(RouteTable, FindsLiteralPathsAndParameters) {
  const RouteTable routes = table();
  EXPECT_EQ(routes.find("GET", "/v1/models").route, &routes.routes()[0]);
  const RouteMatch match = routes.find("POST", "/items/a%20b/parts/7");
  ASSERT_EQ(match.route, &routes.routes()[3]);
  EXPECT_EQ(param(match, "item"), "a b");
  EXPECT_EQ(param(match, "part"), "7");
}

TEST(RouteTable, AStarParameterMayContainSlashes) {
  const RouteTable routes = table();
  EXPECT_EQ(param(routes.find("GET", "/v1/models/org/name"), "id"), "org/name");
  EXPECT_EQ(param(routes.find("GET", "/v1/models/org%2Fname"), "id"), "org/name");
  const RouteMatch predict = routes.find("POST", "/v1/models/org/name/predict");
  ASSERT_EQ(predict.route, &routes.routes()[1]);
  EXPECT_EQ(param(predict, "id"), "org/name");
}

TEST(RouteTable, NamesTheMethodsOfAKnownPath) {
  const RouteTable routes = table();
  const RouteMatch match = routes.find("PUT", "/v1/models/a/predict");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allow, "POST, GET");
}

TEST(RouteTable, RefusesWhatDoesNotFit) {
  const RouteTable routes = table();
  for (const char* path : {"/", "", "/v1", "/v1/models/", "/v1/modelsx", "/items/%zz/parts/1", "/items/%00/parts/1",
                           "/items//parts/1", "/items/%4"}) {
    const RouteMatch match = routes.find("GET", path);
    EXPECT_EQ(match.route, nullptr) << path;
    EXPECT_EQ(match.allow, "") << path;
  }
}

TEST(RouteTable, HeadUsesTheGetRoute) {
  const RouteTable routes = table();
  EXPECT_EQ(routes.find("HEAD", "/v1/models").route, &routes.routes()[0]);
}

}  // namespace
}  // namespace strata::http
