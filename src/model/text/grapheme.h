// Extended grapheme clusters: what a reader takes for one character
// (https://www.unicode.org/reports/tr29/#Grapheme_Cluster_Boundary_Rules). Pure; any thread.
#pragma once

#include <cstddef>
#include <string_view>

namespace strata {

// Where the cluster that begins at text[at] ends; at < text.size(). An ill-formed part is a cluster of its own.
size_t grapheme_end(std::string_view text, size_t at);

}  // namespace strata
