// Rotary position embedding. Included inside the namespace of an instruction set.
namespace {

// Cosine and sine of position * frequency, for sixteen frequencies. The angle and everything up to the last rounding
// are double and without fma: right to the last bit of a float for positions below 2^24 and frequencies up to 1, and
// the same bits on every instruction set.
void cos_sin(int32_t position, const float* frequencies, float* cosines, float* sines) {
  typedef double Doubles __attribute__((vector_size(64)));
  typedef int64_t Whole __attribute__((vector_size(64)));
  typedef float Floats __attribute__((vector_size(32)));
  // pi/2 in two parts; a whole number below 2^20 times the first is exact (33 bits).
  constexpr double kTwoOverPi = 0.63661977236758138, kHalfPiHigh = 1.57079632673412561417e+00;
  constexpr double kHalfPiLow = 6.07710050650619224932e-11, kMagic = 6755399441055744.0;  // 1.5 * 2^52
  for (int half = 0; half < 2; ++half) {
    Floats f;
    __builtin_memcpy(&f, frequencies + 8 * half, sizeof(f));
    const Doubles angle = __builtin_convertvector(f, Doubles) * static_cast<double>(position);
    const Doubles shifted = angle * kTwoOverPi + kMagic;
    const Doubles turns = shifted - kMagic;
    const Whole quadrant = reinterpret_cast<Whole>(shifted) & 3;
    const Doubles x = (angle - turns * kHalfPiHigh) - turns * kHalfPiLow, z = x * x;
    // Taylor series on |x| <= pi/4: the next terms are below 1e-13 and 1e-12.
    Doubles s = z * (1.0 / 6227020800.0) - 1.0 / 39916800, c = z * (1.0 / 479001600.0) - 1.0 / 3628800;
    s = x * (1.0 + z * (-1.0 / 6 + z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 + z * s)))));
    c = 1.0 + z * (-0.5 + z * (1.0 / 24 + z * (-1.0 / 720 + z * (1.0 / 40320 + z * c))));
    const Whole swapped = -(quadrant & 1);
    const Whole sine_bits = (reinterpret_cast<Whole>(c) & swapped) | (reinterpret_cast<Whole>(s) & ~swapped);
    const Whole cosine_bits = (reinterpret_cast<Whole>(s) & swapped) | (reinterpret_cast<Whole>(c) & ~swapped);
    const Doubles sine = reinterpret_cast<Doubles>(sine_bits ^ ((quadrant & 2) << 62));
    const Doubles cosine = reinterpret_cast<Doubles>(cosine_bits ^ (((quadrant + 1) & 2) << 62));
    const Floats sine_floats = __builtin_convertvector(sine, Floats);
    const Floats cosine_floats = __builtin_convertvector(cosine, Floats);
    __builtin_memcpy(sines + 8 * half, &sine_floats, sizeof(sine_floats));
    __builtin_memcpy(cosines + 8 * half, &cosine_floats, sizeof(cosine_floats));
  }
}

// Rotates the n pairs from pair `first` of one head.
STRATA_INLINE void rotate_pairs(const RopeArgs& args, float* head, int first, int n, Lanes cosine, Lanes sine) {
  if (args.interleaved) {
    float* p = head + args.rotary_offset + 2 * first;
    Lanes a, b;
    load_pairs(p, n, a, b);
    store_pairs(p, a * cosine - b * sine, multiply_add(a, sine, b * cosine), n);
    return;
  }
  float* p = head + args.rotary_offset + first;
  float* partner = p + args.rotary_dim / 2;
  const Lanes a = load_first(p, n), b = load_first(partner, n);
  store_first(p, a * cosine - b * sine, n);
  store_first(partner, multiply_add(a, sine, b * cosine), n);
}

}  // namespace

// Sixteen frequencies at a time, because their cosines and sines serve every head of the row.
void rope(const RopeArgs& args, int64_t row_begin, int64_t row_end) {
  const int half = args.rotary_dim / 2;
  const float sine_factor = args.inverse ? -args.magnitude : args.magnitude;
  for (int64_t row = row_begin; row < row_end; ++row) {
    const float* inv_freq = args.long_rows != nullptr && args.long_rows[row] != 0 ? args.long_inv_freq : args.inv_freq;
    for (int first = 0; first < half; first += kLanes) {
      const int n = half - first < kLanes ? half - first : kLanes;
      float frequencies[kLanes], cosines[kLanes], sines[kLanes];
      store(frequencies, load_first(inv_freq + first, n));
      cos_sin(args.positions[row], frequencies, cosines, sines);
      const Lanes cosine = load(cosines) * broadcast(args.magnitude), sine = load(sines) * broadcast(sine_factor);
      float* head = args.x + row * args.row_stride;
      for (int h = 0; h < args.n_heads; ++h, head += args.head_dim) rotate_pairs(args, head, first, n, cosine, sine);
    }
  }
}
