// Loops over one row of floats, tails included. Included inside the namespace of an instruction set.
namespace {

// sum f(j, n) over the vectors of a row, in four interleaved chains that end in one fixed tree: dim alone decides.
// f(j, n) gives the lanes j ... j + n of the row, with zeros beyond n.
template <class F>
STRATA_INLINE float row_sum(int64_t dim, const F& f) {
  Lanes sums[4] = {broadcast(0), broadcast(0), broadcast(0), broadcast(0)};
  int64_t j = 0;
  for (; j + 4 * kLanes <= dim; j += 4 * kLanes) {
    STRATA_UNROLL
    for (int c = 0; c < 4; ++c) sums[c] = sums[c] + f(j + c * kLanes, kLanes);
  }
  for (int c = 0; j < dim; j += kLanes, ++c) sums[c] = sums[c] + f(j, dim - j < kLanes ? dim - j : kLanes);
  return sum_of((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// store(f(j, n)) over the vectors of a row.
template <class F>
STRATA_INLINE void row_map(float* y, int64_t dim, const F& f) {
  int64_t j = 0;
  for (; j + kLanes <= dim; j += kLanes) store(y + j, f(j, static_cast<int64_t>(kLanes)));
  if (j < dim) store_first(y + j, f(j, dim - j), dim - j);
}

STRATA_INLINE float dot(const float* a, const float* b, int64_t n) {
  return row_sum(n, [&](int64_t j, int64_t m) { return load_first(a + j, m) * load_first(b + j, m); });
}

// y += factor * x
STRATA_INLINE void add_scaled(float* y, const float* x, float factor, int64_t n) {
  row_map(y, n, [&](int64_t j, int64_t m) {
    return multiply_add(load_first(x + j, m), broadcast(factor), load_first(y + j, m));
  });
}

STRATA_INLINE void clear(float* y, int64_t n) {
  row_map(y, n, [](int64_t, int64_t) { return broadcast(0); });
}

}  // namespace
