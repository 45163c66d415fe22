// The matmuls of a graph by matrices of weights, and the size of these.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

// Plain ones and those by experts; the matrix is input 1.
bool is_matmul(const Node& node);
// Of a type without symbols.
double numbers_of(const TensorType& type);

}  // namespace strata
