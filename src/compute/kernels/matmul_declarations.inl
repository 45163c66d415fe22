// Declarations of what a table has beside its matmul families and the ops (contracts: cpu_kernels.h). Included inside the
// namespace of each table, so that the list exists once.
void to_activation(DType type, void* dst, const float* x, int64_t rows, int64_t k);
void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end, int64_t k_begin, int64_t k_end);
void matmul_dx(float* dx, const float* dy, const MatmulFamily* family, const void* w, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end);
void matmul_dw_bfloat(float* dw, const void* dy, const void* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
                      int64_t n_end, int64_t k_begin, int64_t k_end);
void matmul_dx_bfloat(float* dx, const void* dy, const void* w, int64_t n, int64_t k, int64_t row_begin,
                      int64_t row_end, int64_t k_begin, int64_t k_end);
