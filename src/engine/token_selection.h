// Picks the most likely tokens of a vocabulary without sorting it.
#pragma once

#include <span>
#include <vector>

#include "model/text/tokenizer.h"

namespace strata {

struct Candidate {
  float key = 0;  // larger goes first; ties to the lower id
  TokenId id = 0;
  float weight = 0;
};

inline bool goes_before(const Candidate& a, const Candidate& b) { return a.key != b.key ? a.key > b.key : a.id < b.id; }

// The `count` largest values in order, with weight 0; fewer when fewer are above -infinity.
class TopSelection {
 public:
  void select(std::span<const float> values, int count, std::vector<Candidate>& out);

 private:
  std::vector<float> block_max_;
  std::vector<float> scratch_;
};

// Keeps the shortest run of candidates, in order, whose weights reach `mass`; at least one. Expected time is linear.
// The kept ones come in an order that depends on nothing but the candidates.
void keep_mass(std::vector<Candidate>& candidates, double mass);

}  // namespace strata
