// The gradients of a matmul by bfloat16 numbers. Included inside the namespace of an instruction set, after
// matmul_gradient.inl and BFloatFactors.
void matmul_dw_bfloat(float* dw, const void* dy, const void* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
                      int64_t n_end, int64_t k_begin, int64_t k_end) {
  dw_of<BFloatFactors>(dw, static_cast<const BFloat*>(dy), static_cast<const BFloat*>(x), rows, n, k, n_begin, n_end,
                       k_begin, k_end);
}

void matmul_dx_bfloat(float* dx, const void* dy, const void* w, int64_t n, int64_t k, int64_t row_begin,
                      int64_t row_end, int64_t k_begin, int64_t k_end) {
  dx_of<BFloatFactors>(dx, static_cast<const BFloat*>(dy), static_cast<const BFloat*>(w), n, k, row_begin, row_end,
                       k_begin, k_end);
}
