#include "engine/token_selection.h"

#include <algorithm>
#include <functional>
#include <limits>

#include "engine/softmax.h"

namespace strata {
namespace {

constexpr size_t kBlock = 64;

}  // namespace

// The count-th largest of the blocks' maxima is a lower bound of the count-th largest value, so only blocks that reach
// it are looked at again, and few values pass.
void TopSelection::select(std::span<const float> values, int count, std::vector<Candidate>& out) {
  out.clear();
  if (count <= 0) return;
  block_max_.clear();
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    block_max_.push_back(max_value(values.subspan(begin, std::min(kBlock, values.size() - begin))));
  }
  float bound = -std::numeric_limits<float>::infinity();
  const size_t wanted = static_cast<size_t>(count);
  if (wanted <= block_max_.size()) {
    scratch_ = block_max_;
    const auto nth = scratch_.begin() + (count - 1);
    std::nth_element(scratch_.begin(), nth, scratch_.end(), std::greater<>());
    bound = *nth;
  }
  for (size_t block = 0; block < block_max_.size(); ++block) {
    if (!(block_max_[block] >= bound)) continue;
    const size_t end = std::min((block + 1) * kBlock, values.size());
    for (size_t i = block * kBlock; i < end; ++i) {
      if (values[i] >= bound && values[i] > -std::numeric_limits<float>::infinity()) {
        out.push_back({values[i], static_cast<TokenId>(i), 0});
      }
    }
  }
  if (out.size() > wanted) {
    std::nth_element(out.begin(), out.begin() + count, out.end(), goes_before);
    out.resize(wanted);
  }
  std::sort(out.begin(), out.end(), goes_before);
}

// A quickselect by weight: of the part in question, what goes before the pivot is either enough, or wholly kept.
void keep_mass(std::vector<Candidate>& candidates, double mass) {
  auto begin = candidates.begin();
  auto end = candidates.end();
  for (int round = 0; round < 48 && end - begin > 64; ++round) {
    const Candidate& a = *begin;
    const Candidate& b = *(begin + (end - begin) / 2);
    const Candidate& c = *(end - 1);
    const Candidate pivot =
        std::max(std::min(a, b, goes_before), std::min(std::max(a, b, goes_before), c, goes_before), goes_before);
    const auto middle = std::partition(begin, end, [&](const Candidate& x) { return goes_before(x, pivot); });
    double before = 0;
    for (auto i = begin; i != middle; ++i) before += i->weight;
    if (before >= mass && middle != begin) {
      end = middle;
    } else {
      mass -= before;
      begin = middle;
    }
  }
  std::sort(begin, end, goes_before);
  while (begin != end) {
    mass -= begin->weight;
    ++begin;
    if (mass <= 0) break;
  }
  candidates.erase(begin, candidates.end());
}

}  // namespace strata
