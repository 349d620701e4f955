// Matrix products by a tile unit (AMX-BF16): its eight registers hold 16 rows of 64 bytes.
//
// A float32 operand is the sum of a high and a low bfloat16 part. high * high + high * low +
// low * high keeps the quality of float32; high * high alone is `precision: bf16`. The unit takes
// pairs of bfloat16 numbers that are neighbours in the inner dimension, in words of 32 bits.
// -DEMULATED_TILES puts a portable emulation in the place of the unit, for tests.
#pragma once

#include "products.h"

#if defined(EMULATED_TILES) || (defined(__AMX_BF16__) && defined(__linux__))
#define TILES

#if !defined(EMULATED_TILES)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace {

typedef uint32_t vu __attribute__((vector_size(LANES * 4)));
typedef uint16_t vh __attribute__((vector_size(LANES * 2)));
typedef uint32_t vu_loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef uint16_t vh_loose __attribute__((vector_size(LANES * 2), aligned(2), may_alias));
constexpr int SIDE = 16;  // rows of a tile, and words in each of them

#if defined(EMULATED_TILES)

// TDPBF16PS in the order of its definition: even and odd products are added up apart from each
// other, and their sum to the accumulator.
class TileUnit {
  uint32_t words_[8][SIDE][SIDE];

  static float number(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
  }

 public:
  static bool permitted() { return true; }

  template <int T>
  void zero() {
    __builtin_memset(words_[T], 0, sizeof words_[T]);
  }
  template <int T>
  void load(const void* from, int64_t stride) {
    for (int i = 0; i < SIDE; ++i)
      __builtin_memcpy(words_[T][i], static_cast<const char*>(from) + i * stride, 64);
  }
  template <int T>
  void store(void* to, int64_t stride) {
    for (int i = 0; i < SIDE; ++i)
      __builtin_memcpy(static_cast<char*>(to) + i * stride, words_[T][i], 64);
  }
  template <int C, int A, int B>
  void multiply() {
    for (int m = 0; m < SIDE; ++m) {
      float even[SIDE] = {}, odd[SIDE] = {};
      for (int k = 0; k < SIDE; ++k) {
        const uint32_t a = words_[A][m][k];
        for (int n = 0; n < SIDE; ++n) {
          const uint32_t b = words_[B][k][n];
          even[n] += number(a << 16) * number(b << 16);
          odd[n] += number(a & 0xffff0000u) * number(b & 0xffff0000u);
        }
      }
      for (int n = 0; n < SIDE; ++n) {
        const float total = number(words_[C][m][n]) + (even[n] + odd[n]);
        __builtin_memcpy(&words_[C][m][n], &total, sizeof total);
      }
    }
  }
};

#else

class TileUnit {
 public:
  // Linux saves tile registers only for processes that ask for them (ARCH_REQ_XCOMP_PERM).
  static bool permitted() {
    static const bool permission = syscall(SYS_arch_prctl, 0x1023, 18) == 0;
    return permission;
  }

  TileUnit() {
    struct {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE, SIDE};
    } configuration;
    _tile_loadconfig(&configuration);
  }
  ~TileUnit() { _tile_release(); }
  TileUnit(const TileUnit&) = delete;

  template <int T>
  void zero() {
    _tile_zero(T);
  }
  template <int T>
  void load(const void* from, int64_t stride) {
    _tile_loadd(T, from, stride);
  }
  template <int T>
  void store(void* to, int64_t stride) {
    _tile_stored(T, to, stride);
  }
  template <int C, int A, int B>
  void multiply() {
    _tile_dpbf16ps(C, A, B);
  }
};

#endif

// The nearest bfloat16 numbers (ties to even), in the upper halves of words.
inline vu rounded(vf x) {
  const vu bits = (vu)x;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
}

inline vu low_part(vf x, vu high) { return rounded(x - (vf)high); }

// Transposes 16 x 16 words, in place.
template <int STEP = 1>
inline void transpose(vu* rows) {
  vu first, second;
  for (int l = 0; l < LANES; ++l) {
    first[l] = l & STEP ? LANES + l - STEP : l;
    second[l] = l & STEP ? LANES + l : l + STEP;
  }
  for (int i = 0; i < SIDE; ++i) {
    if (i & STEP) continue;
    const vu a = rows[i], b = rows[i + STEP];
#if defined(__clang__)
    for (int l = 0; l < LANES; ++l) {
      rows[i][l] = first[l] < LANES ? a[first[l]] : b[first[l] - LANES];
      rows[i + STEP][l] = second[l] < LANES ? a[second[l]] : b[second[l] - LANES];
    }
#else
    rows[i] = __builtin_shuffle(a, b, first);
    rows[i + STEP] = __builtin_shuffle(a, b, second);
#endif
  }
  if constexpr (STEP < SIDE / 2) transpose<2 * STEP>(rows);
}

// One packed operand: [rows, columns / 2] words on the left of a product, [rows / 2, columns] on
// the right.
template <int SIZE>
struct Operand {
  alignas(64) uint32_t high[SIZE / 2], low[SIZE / 2];
};

// `SPLIT`: three products per product of float32 numbers. LARGEST: width of the widest operand.
template <int LARGEST, bool SPLIT>
class Tiles {
 public:
  static constexpr int BLOCK = 64;

  // C (+)= A B as in `Float32`. Either A's rows are contiguous, and B are weights that stay as they
  // are while this object lives; or A's columns are. Rows of A^T and columns are multiples of 32.
  void multiply(int rows, int columns, int depth, const float* a, int row_stride,
                int column_stride, const float* b, int b_stride, float* c, int c_stride,
                bool accumulate) {
    if (column_stride != 1) {
      const int padded = whole(depth);
      pack_left_transposed(depth, padded, rows, a, column_stride);
      pack_right(depth, padded, columns, b, b_stride, right_);
      product(rows, columns, padded, right_, c, c_stride, accumulate);
      return;
    }
    const int padded = whole(rows);
    pack_left(rows, padded, depth, a, row_stride);
    const Right& weights = packed(depth, columns, b, b_stride);
    if (padded == rows) {
      product(rows, columns, depth, weights, c, c_stride, accumulate);
      return;
    }
    product(padded, columns, depth, weights, rest_, columns, false);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; j += LANES) {
        const vf value = load(rest_ + i * columns + j);
        store(c + i * c_stride + j, accumulate ? load(c + i * c_stride + j) + value : value);
      }
  }

 private:
  using Left = Operand<LARGEST * BLOCK>;
  using Right = Operand<LARGEST * BLOCK>;
  static_assert(LARGEST % 32 == 0 && BLOCK % 32 == 0 && LARGEST <= 2 * BLOCK, "sizes of tiles");
  static constexpr int WEIGHTS = 6;  // matrices of one gated MLP, both ways round

  TileUnit unit_;
  Left left_;
  Right right_, weights_[WEIGHTS];
  const float* keys_[WEIGHTS];
  int n_weights_ = 0;
  alignas(64) float rest_[BLOCK * LARGEST];

  static int whole(int n) { return (n + 31) / 32 * 32; }

  const Right& packed(int depth, int columns, const float* b, int stride) {
    for (int i = 0; i < n_weights_; ++i)
      if (keys_[i] == b) return weights_[i];
    keys_[n_weights_] = b;
    pack_right(depth, depth, columns, b, stride, weights_[n_weights_]);
    return weights_[n_weights_++];
  }

  // Words of two rows of B, the second of which may lie beyond its end.
  static void pair_up(int k, int depth, const float* b, int stride, vu& high, vu& low) {
    const vf x = k < depth ? load(b + k * stride) : vf{};
    const vf y = k + 1 < depth ? load(b + (k + 1) * stride) : vf{};
    const vu x_high = rounded(x), y_high = rounded(y);
    high = x_high >> 16 | y_high;
    if (SPLIT) low = low_part(x, x_high) >> 16 | low_part(y, y_high);
  }

  static void pack_right(int depth, int padded, int columns, const float* b, int stride,
                         Right& to) {
    for (int k = 0; k < padded; k += 2)
      for (int j = 0; j < columns; j += LANES) {
        vu high, low;
        pair_up(k, depth, b + j, stride, high, low);
        put(to.high + k / 2 * columns + j, high);
        if (SPLIT) put(to.low + k / 2 * columns + j, low);
      }
  }

  void pack_left(int rows, int padded, int depth, const float* a, int stride) {
    for (int i = 0; i < padded; ++i)
      for (int k = 0; k < depth; k += LANES) {
        const vf x = i < rows ? load(a + i * stride + k) : vf{};
        const vu high = rounded(x);
        put_halves(left_.high + (i * depth + k) / 2, high);
        if (SPLIT) put_halves(left_.low + (i * depth + k) / 2, low_part(x, high));
      }
  }

  void pack_left_transposed(int depth, int padded, int rows, const float* a, int stride) {
    for (int j = 0; j < rows; j += SIDE)
      for (int k = 0; k < padded; k += 2 * SIDE) {
        vu high[SIDE], low[SIDE];
        for (int p = 0; p < SIDE; ++p) pair_up(k + 2 * p, depth, a + j, stride, high[p], low[p]);
        transpose(high);
        if (SPLIT) transpose(low);
        for (int i = 0; i < SIDE; ++i) {
          put(left_.high + ((j + i) * padded + k) / 2, high[i]);
          if (SPLIT) put(left_.low + ((j + i) * padded + k) / 2, low[i]);
        }
      }
  }

  static void put(uint32_t* to, vu words) { *reinterpret_cast<vu_loose*>(to) = words; }
  static void put_halves(uint32_t* to, vu words) {
    *reinterpret_cast<vh_loose*>(to) = __builtin_convertvector(words >> 16, vh);
  }

  void product(int rows, int columns, int depth, const Right& right, float* c, int c_stride,
               bool accumulate) {
    for (int i = 0; i < rows; i += 2 * SIDE)
      for (int j = 0; j < columns; j += 2 * SIDE)
        two_by_two(depth, i * depth / 2, right, j, columns, c + i * c_stride + j, c_stride,
                   accumulate);
  }

  // Four tiles of C from two of A's rows and two of B's columns.
  void two_by_two(int depth, int a, const Right& right, int b, int columns, float* c, int c_stride,
                  bool accumulate) {
    float* below = c + SIDE * c_stride;
    const int64_t bytes = 4 * c_stride;
    if (accumulate) {
      unit_.template load<0>(c, bytes);
      unit_.template load<1>(c + SIDE, bytes);
      unit_.template load<2>(below, bytes);
      unit_.template load<3>(below + SIDE, bytes);
    } else {
      unit_.template zero<0>();
      unit_.template zero<1>();
      unit_.template zero<2>();
      unit_.template zero<3>();
    }
    for (int k = 0; k < depth; k += 2 * SIDE) {
      const int left = a + k / 2, words = b + k / 2 * columns;
      load_left(left_.high + left, depth);
      load_right(right.high + words, columns);
      multiply_tiles();
      if (SPLIT) {
        load_right(right.low + words, columns);
        multiply_tiles();
        load_left(left_.low + left, depth);
        load_right(right.high + words, columns);
        multiply_tiles();
      }
    }
    unit_.template store<0>(c, bytes);
    unit_.template store<1>(c + SIDE, bytes);
    unit_.template store<2>(below, bytes);
    unit_.template store<3>(below + SIDE, bytes);
  }

  void load_left(const uint32_t* words, int depth) {
    unit_.template load<4>(words, depth * 2);
    unit_.template load<5>(words + SIDE * depth / 2, depth * 2);
  }
  void load_right(const uint32_t* words, int columns) {
    unit_.template load<6>(words, columns * 4);
    unit_.template load<7>(words + SIDE, columns * 4);
  }
  void multiply_tiles() {
    unit_.template multiply<0, 4, 6>();
    unit_.template multiply<1, 4, 7>();
    unit_.template multiply<2, 5, 6>();
    unit_.template multiply<3, 5, 7>();
  }
};

}  // namespace

#endif
