// Matrix products of row-major float32 matrices.
#pragma once

#include "vectors.h"

namespace {

#if defined(__AVX512F__)
constexpr int TILE_ROWS = 6, TILE_VECTORS = 4;
#else
constexpr int TILE_ROWS = 3, TILE_VECTORS = 2;
#endif

// One tile of C (+)= A B; element (i, k) of A is a[i * row_stride + k * column_stride].
template <int ROWS, int VECTORS>
inline void tile(int depth, const float* a, int row_stride, int column_stride, const float* b,
                 int b_stride, float* c, int c_stride, bool accumulate) {
  vf sums[ROWS][VECTORS];
  for (int i = 0; i < ROWS; ++i)
    for (int j = 0; j < VECTORS; ++j)
      sums[i][j] = accumulate ? load(c + i * c_stride + j * LANES) : vf{};
  for (int k = 0; k < depth; ++k) {
    vf columns[VECTORS];
    for (int j = 0; j < VECTORS; ++j) columns[j] = load(b + k * b_stride + j * LANES);
    for (int i = 0; i < ROWS; ++i) {
      const float factor = a[i * row_stride + k * column_stride];
      for (int j = 0; j < VECTORS; ++j) sums[i][j] += factor * columns[j];
    }
  }
  for (int i = 0; i < ROWS; ++i)
    for (int j = 0; j < VECTORS; ++j) store(c + i * c_stride + j * LANES, sums[i][j]);
}

template <int VECTORS>
inline void tile_column(int rows, int depth, const float* a, int row_stride, int column_stride,
                        const float* b, int b_stride, float* c, int c_stride, bool accumulate) {
  int i = 0;
  for (; i + TILE_ROWS <= rows; i += TILE_ROWS)
    tile<TILE_ROWS, VECTORS>(depth, a + i * row_stride, row_stride, column_stride, b, b_stride,
                             c + i * c_stride, c_stride, accumulate);
  for (; i < rows; ++i)
    tile<1, VECTORS>(depth, a + i * row_stride, row_stride, column_stride, b, b_stride,
                     c + i * c_stride, c_stride, accumulate);
}

// C (+)= A B for `columns` that are a multiple of LANES.
inline void multiply_float32(int rows, int columns, int depth, const float* a, int row_stride, int column_stride,
              const float* b, int b_stride, float* c, int c_stride, bool accumulate) {
  int j = 0;
  for (; j + TILE_VECTORS * LANES <= columns; j += TILE_VECTORS * LANES)
    tile_column<TILE_VECTORS>(rows, depth, a, row_stride, column_stride, b + j, b_stride, c + j,
                              c_stride, accumulate);
  for (; j < columns; j += LANES)
    tile_column<1>(rows, depth, a, row_stride, column_stride, b + j, b_stride, c + j, c_stride,
                   accumulate);
}

// Products by the vector units.
struct Float32 {
  static constexpr int BLOCK = 48;  // rows that are multiplied at once

  void multiply(int rows, int columns, int depth, const float* a, int row_stride,
                int column_stride, const float* b, int b_stride, float* c, int c_stride,
                bool accumulate) {
    multiply_float32(rows, columns, depth, a, row_stride, column_stride, b, b_stride, c, c_stride,
                     accumulate);
  }
};

}  // namespace
