// exp, tanh, erf and log of our own, so that bits depend on no C library, and are the same in every lane,
// tail and call. Included inside the namespace of an instruction set, after its lanes.h. Errors are measured by
// tests/compute/kernels/elementary_test.cpp. The polynomials are weighted minimax fits (Lawson's iteration).

// sum c[i] * x^i, n coefficients, by Horner's rule.
template <int n>
STRATA_INLINE Lanes polynomial(Lanes x, const float (&c)[n]) {
  Lanes sum = broadcast(c[n - 1]);
  STRATA_UNROLL
  for (int i = n - 2; i >= 0; --i) sum = multiply_add(sum, x, broadcast(c[i]));
  return sum;
}

// x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts, of which n times the first is exact.
inline constexpr float kLog2E = 1.44269504f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
// (e^r - 1 - r) / r^2
inline constexpr float kExpRest[] = {5.000000096e-01f, 1.666651831e-01f, 4.166620415e-02f, 8.368953596e-03f,
                                     1.395060145e-03f};
inline constexpr float kExpLargest = 88.7228394f, kExpSmallest = -87.3365402f;

// e^x within 1 ulp; exactly 0 below -87.33 (also for -inf), inf above 88.72.
STRATA_INLINE Lanes exp(Lanes x) {
  const Lanes inside = min(max(x, broadcast(kExpSmallest)), broadcast(kExpLargest));
  const Lanes n = round_to_nearest(inside * broadcast(kLog2E));
  const Lanes r = multiply_add(n, broadcast(-kLn2Low), multiply_add(n, broadcast(-kLn2High), inside));
  const Lanes mantissa = multiply_add(r * r, polynomial(r, kExpRest), r) + broadcast(1.0f);
  Lanes y = times_power_of_two(mantissa, n);
  y = select(less(x, broadcast(kExpSmallest)), broadcast(0.0f), y);
  y = select(less(broadcast(kExpLargest), x), broadcast(__builtin_inff()), y);
  return select(less_equal(x, x), y, x);  // NaN stays NaN
}

// The same bits for x that is not above 0 (or NaN), in fewer steps.
STRATA_INLINE Lanes exp_of_negative(Lanes x) {
  const Lanes n = round_to_nearest(max(x, broadcast(kExpSmallest)) * broadcast(kLog2E));
  const Lanes r = multiply_add(n, broadcast(-kLn2Low), multiply_add(n, broadcast(-kLn2High), x));
  const Lanes mantissa = multiply_add(r * r, polynomial(r, kExpRest), r) + broadcast(1.0f);
  return select(less(x, broadcast(kExpSmallest)), broadcast(0.0f), times_power_of_two(mantissa, n));
}

STRATA_INLINE Lanes sigmoid(Lanes x) {
  return broadcast(1.0f) / (broadcast(1.0f) + exp(broadcast(0.0f) - x));
}

STRATA_INLINE Lanes tanh(Lanes x) {
  constexpr float kRest[] = {-3.333333091e-01f, 1.333320977e-01f, -5.394720455e-02f,
                             2.170296849e-02f,  -8.182676955e-03f, 2.147539460e-03f};  // (tanh(x)/x - 1) / x^2
  constexpr float kNear = 0.625f;
  const Lanes magnitude = abs(x), square = x * x;
  const Lanes near = multiply_add(x * square, polynomial(square, kRest), x);
  const Lanes e = exp(magnitude + magnitude);
  const Lanes far = broadcast(1.0f) - broadcast(2.0f) / (e + broadcast(1.0f));
  return select(less(magnitude, broadcast(kNear)), near, with_sign_of(far, x));
}

STRATA_INLINE Lanes erf(Lanes x) {
  // erf(x) / x in x^2, and e^(x^2) erfc(x) in 1 / (1 + x/2) for x in [1, 4.2]
  constexpr float kNear[] = {1.128379167e+00f, -3.761263848e-01f, 1.128378275e-01f, -2.686544582e-02f,
                             5.221074888e-03f, -8.484711589e-04f, 1.127054549e-04f, -9.680139213e-06f};
  constexpr float kFar[] = {2.073623792e-03f, 2.570794572e-01f,  4.081652217e-01f, -9.065386847e-02f,
                            6.705433841e-01f, -2.540846000e-01f, 6.651829832e-03f};
  const Lanes magnitude = abs(x), square = x * x;
  const Lanes near = x * polynomial(square, kNear);
  const Lanes t = broadcast(1.0f) / multiply_add(magnitude, broadcast(0.5f), broadcast(1.0f));
  const Lanes far = broadcast(1.0f) - exp(broadcast(0.0f) - square) * polynomial(t, kFar);
  return select(less(magnitude, broadcast(1.0f)), near, with_sign_of(far, x));
}

// Natural logarithm of a positive normal number, correctly rounded but for rare cases: atanh series in double.
STRATA_INLINE float log(float x) {
  uint64_t bits;
  const double wide = x;
  __builtin_memcpy(&bits, &wide, sizeof(bits));
  int64_t exponent = static_cast<int64_t>(bits >> 52) - 1023;
  bits = (bits & 0xfffffffffffffull) | 0x3ff0000000000000ull;
  double m;
  __builtin_memcpy(&m, &bits, sizeof(m));
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double sum = 1.0 / 17;
  for (int i = 15; i >= 1; i -= 2) sum = sum * z + 1.0 / i;
  return static_cast<float>(static_cast<double>(exponent) * 0.69314718055994531 + 2.0 * s * sum);
}
