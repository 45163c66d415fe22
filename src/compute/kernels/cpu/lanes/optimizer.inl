// Steps of optimizers, number by number, each operation rounded for itself: the bits of the reference. Included inside
// the namespace of an instruction set, after row.inl.

void adamw(const OptimizerArgs& args) {
  const Lanes scale = broadcast(args.scale), keep = broadcast(args.keep), rate = broadcast(args.rate);
  const Lanes beta1 = broadcast(args.beta1), rest1 = broadcast(1.0f - args.beta1);
  const Lanes beta2 = broadcast(args.beta2), rest2 = broadcast(1.0f - args.beta2);
  const Lanes root = broadcast(args.root), epsilon = broadcast(args.epsilon);
  row_map(args.values, args.n, [&](int64_t j, int64_t n) {
    const Lanes g = load_first(args.gradient + j, n) * scale;
    const Lanes m = load_first(args.first + j, n) * beta1 + g * rest1;
    const Lanes v = load_first(args.second + j, n) * beta2 + g * g * rest2;
    store_first(args.first + j, m, n);
    store_first(args.second + j, v, n);
    return load_first(args.values + j, n) * keep - rate * m / (square_root(v) * root + epsilon);
  });
}

void sgd(const OptimizerArgs& args) {
  const Lanes scale = broadcast(args.scale), keep = broadcast(args.keep), rate = broadcast(args.rate);
  const Lanes momentum = broadcast(args.beta1);
  row_map(args.values, args.n, [&](int64_t j, int64_t n) {
    const Lanes m = load_first(args.first + j, n) * momentum + load_first(args.gradient + j, n) * scale;
    store_first(args.first + j, m, n);
    return load_first(args.values + j, n) * keep - rate * m;
  });
}

void lion(const OptimizerArgs& args) {
  const Lanes scale = broadcast(args.scale), keep = broadcast(args.keep), rate = broadcast(args.rate);
  const Lanes beta1 = broadcast(args.beta1), rest1 = broadcast(1.0f - args.beta1);
  const Lanes beta2 = broadcast(args.beta2), rest2 = broadcast(1.0f - args.beta2);
  const Lanes zero = broadcast(0);
  row_map(args.values, args.n, [&](int64_t j, int64_t n) {
    const Lanes g = load_first(args.gradient + j, n) * scale, m = load_first(args.first + j, n);
    const Lanes direction = m * beta1 + g * rest1;
    const Lanes down = select(less(direction, zero), broadcast(-1), zero);
    const Lanes sign = select(less(zero, direction), broadcast(1), down);
    store_first(args.first + j, m * beta2 + g * rest2, n);
    return load_first(args.values + j, n) * keep - rate * sign;
  });
}
