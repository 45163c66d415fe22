// The graph of a text that parses.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <utility>

#include "compute/graph/graph.h"

namespace strata::test {

inline Graph graph(std::string_view text) {
  Result<Graph> parsed = parse_graph(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return parsed.ok() ? std::move(*parsed) : Graph{};
}

}  // namespace strata::test
