// Fused message kernels of CHGNet for CPUs: gather, gated MLP and scatter in blocks that stay in
// the cache, with their gradients. One call works on a contiguous range of edges or angles whose
// crystals no other call touches, so that calls run in parallel threads without atomics.
//
// Compiled by foldwise.kernels with -DWIDTH=<features>. Matrices are row-major; "directed" indices
// are int64. Nothing here depends on PyTorch.
#include <cstdint>
#include <cstring>

#ifndef WIDTH
#define WIDTH 64
#endif

namespace {

constexpr int W = WIDTH;       // features
constexpr int P = 2 * WIDTH;   // core half and gate half of a gated MLP
constexpr int LANES = 16;      // floats per vector: one AVX-512 register, or two of AVX2
constexpr int V = W / LANES;   // vectors per row of W features
constexpr int BLOCK = 48;      // edges or angles per block
constexpr float EPSILON = 1e-5f;  // torch.nn.LayerNorm's default
static_assert(W % LANES == 0, "WIDTH must be a multiple of 16");

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef float vf_loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline vf load(const float* p) { return *reinterpret_cast<const vf_loose*>(p); }
inline void store(float* p, vf v) { *reinterpret_cast<vf_loose*>(p) = v; }
inline void add_to(float* p, vf v) { store(p, load(p) + v); }

inline float sum(vf v) {
  float total = 0.f;
  for (int i = 0; i < LANES / 2; ++i) total += v[i] + v[i + LANES / 2];
  return total;
}

// exp by 2^n * e^r with |r| <= ln(2)/2 and a polynomial of degree 6 (relative error below 1e-7).
inline vf exponential(vf x) {
  const vf high = vf{} + 87.f, low = vf{} - 87.f;
  x = x > high ? high : x;
  x = x < low ? low : x;
  const vf shifted = x * 1.44269504088896341f + 12582912.f;  // rounds to the nearest integer
  const vf n = shifted - 12582912.f;
  const vf r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  vf p = vf{} + 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.f;
  p = p * r + 1.f;
  const vi exponent = (__builtin_convertvector(n, vi) + 127) << 23;
  return p * (vf)exponent;  // same bits: 2^n
}

inline vf sigmoid(vf x) { return 1.f / (1.f + exponential(-x)); }

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
void multiply(int rows, int columns, int depth, const float* a, int row_stride, int column_stride,
              const float* b, int b_stride, float* c, int c_stride, bool accumulate) {
  int j = 0;
  for (; j + TILE_VECTORS * LANES <= columns; j += TILE_VECTORS * LANES)
    tile_column<TILE_VECTORS>(rows, depth, a, row_stride, column_stride, b + j, b_stride, c + j,
                              c_stride, accumulate);
  for (; j < columns; j += LANES)
    tile_column<1>(rows, depth, a, row_stride, column_stride, b + j, b_stride, c + j, c_stride,
                   accumulate);
}

}  // namespace

extern "C" {

// Weights of one gated MLP. `input_t` [W, P] multiplies the features that are not gathered (bond
// or angle) and `input` [P, W] is its transpose; `core_t`, `gate_t` [W, W] are the transposed
// hidden-to-output weights, `core`, `gate` the plain ones; null where there is no hidden layer.
struct Weights {
  const float *input_t, *input, *core_t, *gate_t, *core, *gate, *core_bias, *gate_bias;
  const float *core_gamma, *core_beta, *gate_gamma, *gate_beta;
};

// Sums of the gradients of the above, to be added over calls; layout as the transposed weights.
struct WeightGradients {
  float *input_t, *core_t, *gate_t, *core_bias, *gate_bias;
  float *core_gamma, *core_beta, *gate_gamma, *gate_beta;
};
}

namespace {

// What the forward pass of a block leaves for its backward pass.
struct Block {
  alignas(64) float pre[BLOCK * P];      // first layer before its activation
  alignas(64) float hidden[BLOCK * P];   // after it
  alignas(64) float normal[BLOCK * P];   // normalised second layer (x-hat of the layer norm)
  alignas(64) float inverse[BLOCK * 2];  // 1 / standard deviation, core and gate
  alignas(64) float core[BLOCK * W];     // silu(norm(core))
  alignas(64) float gate[BLOCK * W];     // sigmoid(norm(gate))
};

// Layer norm without its affine part, in place; returns 1 / standard deviation.
inline float normalise(float* row) {
  vf total{};
  for (int j = 0; j < V; ++j) total += load(row + j * LANES);
  const float mean = sum(total) / W;
  vf squares{};
  for (int j = 0; j < V; ++j) {
    const vf centred = load(row + j * LANES) - mean;
    store(row + j * LANES, centred);
    squares += centred * centred;
  }
  const float inverse = 1.f / __builtin_sqrtf(sum(squares) / W + EPSILON);
  for (int j = 0; j < V; ++j) store(row + j * LANES, load(row + j * LANES) * inverse);
  return inverse;
}

// From block.pre to block.core and block.gate.
template <bool HIDDEN>
void gated_forward(int rows, const Weights& w, Block& s) {
  if (HIDDEN) {
    for (int i = 0; i < rows * P; i += LANES) {
      const vf x = load(s.pre + i);
      store(s.hidden + i, x * sigmoid(x));
    }
    multiply(rows, W, W, s.hidden, P, 1, w.core_t, W, s.normal, P, false);
    multiply(rows, W, W, s.hidden + W, P, 1, w.gate_t, W, s.normal + W, P, false);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < V; ++j) {
        add_to(s.normal + i * P + j * LANES, load(w.core_bias + j * LANES));
        add_to(s.normal + i * P + W + j * LANES, load(w.gate_bias + j * LANES));
      }
  } else {
    std::memcpy(s.normal, s.pre, sizeof(float) * rows * P);
  }
  for (int i = 0; i < rows; ++i) {
    float* row = s.normal + i * P;
    s.inverse[2 * i] = normalise(row);
    s.inverse[2 * i + 1] = normalise(row + W);
    for (int j = 0; j < V; ++j) {
      const int at = j * LANES;
      const vf core = load(row + at) * load(w.core_gamma + at) + load(w.core_beta + at);
      const vf gate = load(row + W + at) * load(w.gate_gamma + at) + load(w.gate_beta + at);
      store(s.core + i * W + at, core * sigmoid(core));
      store(s.gate + i * W + at, sigmoid(gate));
    }
  }
}

// Backward through the affine part and the layer norm of one half; `slope` becomes the gradient of
// the second layer's output.
inline void norm_backward(float* slope, const float* normal, float inverse, const float* gamma,
                          float* d_gamma, float* d_beta) {
  vf sum_slope{}, sum_product{};
  for (int j = 0; j < V; ++j) {
    const int at = j * LANES;
    const vf d = load(slope + at), x = load(normal + at);
    add_to(d_gamma + at, d * x);
    add_to(d_beta + at, d);
    const vf scaled = d * load(gamma + at);
    store(slope + at, scaled);
    sum_slope += scaled;
    sum_product += scaled * x;
  }
  const float mean_slope = sum(sum_slope) / W, mean_product = sum(sum_product) / W;
  for (int j = 0; j < V; ++j) {
    const int at = j * LANES;
    store(slope + at,
          inverse * (load(slope + at) - mean_slope - load(normal + at) * mean_product));
  }
}

// From the gradient of the messages, [rows, W], to that of block.pre, in `d_pre` [rows, P].
template <bool HIDDEN>
void gated_backward(int rows, const float* d_message, const Weights& w, WeightGradients& g,
                    const Block& s, float* d_pre, float* scratch) {
  float* d_second = HIDDEN ? scratch : d_pre;
  for (int i = 0; i < rows; ++i) {
    float* slope = d_second + i * P;
    for (int j = 0; j < V; ++j) {
      const int at = j * LANES;
      const vf x = load(s.normal + i * P + at) * load(w.core_gamma + at) + load(w.core_beta + at);
      const vf activated = load(s.core + i * W + at), gate = load(s.gate + i * W + at);
      const vf d = load(d_message + i * W + at), squash = sigmoid(x);
      store(slope + at, d * gate * (squash + activated * (1.f - squash)));
      store(slope + W + at, d * activated * gate * (1.f - gate));
    }
    norm_backward(slope, s.normal + i * P, s.inverse[2 * i], w.core_gamma, g.core_gamma,
                  g.core_beta);
    norm_backward(slope + W, s.normal + i * P + W, s.inverse[2 * i + 1], w.gate_gamma,
                  g.gate_gamma, g.gate_beta);
  }
  if (!HIDDEN) return;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < V; ++j) {
      add_to(g.core_bias + j * LANES, load(d_second + i * P + j * LANES));
      add_to(g.gate_bias + j * LANES, load(d_second + i * P + W + j * LANES));
    }
  multiply(W, W, rows, s.hidden, 1, P, d_second, P, g.core_t, W, true);
  multiply(W, W, rows, s.hidden + W, 1, P, d_second + W, P, g.gate_t, W, true);
  multiply(rows, W, W, d_second, P, 1, w.core, W, d_pre, P, false);
  multiply(rows, W, W, d_second + W, P, 1, w.gate, W, d_pre + W, P, false);
  for (int i = 0; i < rows * P; i += LANES) {
    const vf x = load(s.pre + i), squash = sigmoid(x);
    store(d_pre + i, load(d_pre + i) * squash * (1.f + x * (1.f - squash)));
  }
}

inline void add_row(float* to, const float* from, int length) {
  for (int j = 0; j < length; j += LANES) add_to(to + j, load(from + j));
}

// First layer of the edges that point from `from` to `to`: the bonds' part plus both atoms'.
inline void edge_inputs(int rows, const int64_t* to, const int64_t* from, const float* projected,
                        const float* centre, const float* neighbour, Block& s) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < P; j += LANES)
      store(s.pre + i * P + j, load(projected + i * P + j) + load(centre + to[i] * P + j) +
                                   load(neighbour + from[i] * P + j));
}

// Blocks end at multiples of BLOCK of the whole batch, wherever a range begins: an atom's messages
// are added in an order that does not depend on the ranges.
inline int block_size(int64_t start, int64_t stop) {
  const int64_t left = BLOCK - start % BLOCK;
  return static_cast<int>(stop - start < left ? stop - start : left);
}

}  // namespace

extern "C" {

// Messages of both directions of the undirected edges [start, stop), times the envelope weights,
// summed at their centre atoms.
//   centre, neighbour [n_atoms, P]  projected atom features (centre with the first layer's bias)
//   bonds [n_edges, W], envelope [n_edges, W], summed [n_atoms, W] (added to)
void atom_conv_forward(int64_t start, int64_t stop, const int64_t* first, const int64_t* second,
                       const float* centre, const float* neighbour, const float* bonds,
                       const float* envelope, const Weights* weights, float* summed) {
  Block s;
  alignas(64) float projected[BLOCK * P];
  for (int64_t e = start, rows; e < stop; e += rows) {
    rows = block_size(e, stop);
    multiply(rows, P, W, bonds + e * W, W, 1, weights->input_t, P, projected, P, false);
    for (int direction = 0; direction < 2; ++direction) {
      const int64_t* to = (direction ? second : first) + e;
      const int64_t* from = (direction ? first : second) + e;
      edge_inputs(rows, to, from, projected, centre, neighbour, s);
      gated_forward<true>(rows, *weights, s);
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < W; j += LANES)
          add_to(summed + to[i] * W + j, load(s.core + i * W + j) * load(s.gate + i * W + j) *
                                             load(envelope + (e + i) * W + j));
    }
  }
}

void atom_conv_backward(int64_t start, int64_t stop, const int64_t* first, const int64_t* second,
                        const float* centre, const float* neighbour, const float* bonds,
                        const float* envelope, const Weights* weights, const float* d_summed,
                        float* d_centre, float* d_neighbour, float* d_bonds, float* d_envelope,
                        WeightGradients* gradients) {
  Block s;
  alignas(64) float projected[BLOCK * P], d_projected[BLOCK * P], d_pre[BLOCK * P];
  alignas(64) float scratch[BLOCK * P], d_message[BLOCK * W];
  for (int64_t e = start, rows; e < stop; e += rows) {
    rows = block_size(e, stop);
    multiply(rows, P, W, bonds + e * W, W, 1, weights->input_t, P, projected, P, false);
    std::memset(d_projected, 0, sizeof(float) * rows * P);
    for (int direction = 0; direction < 2; ++direction) {
      const int64_t* to = (direction ? second : first) + e;
      const int64_t* from = (direction ? first : second) + e;
      edge_inputs(rows, to, from, projected, centre, neighbour, s);
      gated_forward<true>(rows, *weights, s);
      for (int i = 0; i < rows; ++i)
        for (int j = 0; j < W; j += LANES) {
          const vf d = load(d_summed + to[i] * W + j);
          const vf message = load(s.core + i * W + j) * load(s.gate + i * W + j);
          add_to(d_envelope + (e + i) * W + j, d * message);
          store(d_message + i * W + j, d * load(envelope + (e + i) * W + j));
        }
      gated_backward<true>(rows, d_message, *weights, *gradients, s, d_pre, scratch);
      for (int i = 0; i < rows; ++i) {
        add_row(d_centre + to[i] * P, d_pre + i * P, P);
        add_row(d_neighbour + from[i] * P, d_pre + i * P, P);
        add_row(d_projected + i * P, d_pre + i * P, P);
      }
    }
    multiply(rows, W, P, d_projected, P, 1, weights->input, W, d_bonds + e * W, W, false);
    multiply(W, P, rows, bonds + e * W, 1, W, d_projected, P, gradients->input_t, P, true);
  }
}
}

namespace {

void angle_inputs(int rows, int64_t a, const int64_t* left, const int64_t* right,
                  const int64_t* centre_of, const float* left_part, const float* right_part,
                  const float* centre, const float* angles, const Weights& weights, Block& s) {
  multiply(rows, P, W, angles + a * W, W, 1, weights.input_t, P, s.pre, P, false);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < P; j += LANES)
      add_to(s.pre + i * P + j, load(left_part + left[a + i] * P + j) +
                                    load(right_part + right[a + i] * P + j) +
                                    load(centre + centre_of[a + i] * P + j));
}

void scatter_angle_gradients(int rows, int64_t a, const int64_t* left, const int64_t* right,
                             const int64_t* centre_of, const float* angles, const Weights& weights,
                             const float* d_pre, float* d_left, float* d_right, float* d_centre,
                             float* d_angles, WeightGradients& gradients) {
  for (int i = 0; i < rows; ++i) {
    add_row(d_left + left[a + i] * P, d_pre + i * P, P);
    add_row(d_right + right[a + i] * P, d_pre + i * P, P);
    add_row(d_centre + centre_of[a + i] * P, d_pre + i * P, P);
  }
  multiply(rows, W, P, d_pre, P, 1, weights.input, W, d_angles + a * W, W, true);
  multiply(W, P, rows, angles + a * W, 1, W, d_pre, P, gradients.input_t, P, true);
}

}  // namespace

extern "C" {

// Messages of the angles [start, stop), times the envelope weights of both bonds, summed at the
// left one. left_part, right_part [n_short, P] and centre [n_atoms, P] are projected features;
// angles [n_angles, W], envelope [n_short, W], summed [n_short, W] (added to).
void bond_conv_forward(int64_t start, int64_t stop, const int64_t* left, const int64_t* right,
                       const int64_t* centre_of, const float* left_part, const float* right_part,
                       const float* centre, const float* angles, const float* envelope,
                       const Weights* weights, float* summed) {
  Block s;
  for (int64_t a = start, rows; a < stop; a += rows) {
    rows = block_size(a, stop);
    angle_inputs(rows, a, left, right, centre_of, left_part, right_part, centre, angles, *weights,
                 s);
    gated_forward<true>(rows, *weights, s);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < W; j += LANES)
        add_to(summed + left[a + i] * W + j,
               load(s.core + i * W + j) * load(s.gate + i * W + j) *
                   load(envelope + left[a + i] * W + j) * load(envelope + right[a + i] * W + j));
  }
}

void bond_conv_backward(int64_t start, int64_t stop, const int64_t* left, const int64_t* right,
                        const int64_t* centre_of, const float* left_part, const float* right_part,
                        const float* centre, const float* angles, const float* envelope,
                        const Weights* weights, const float* d_summed, float* d_left,
                        float* d_right, float* d_centre, float* d_angles, float* d_envelope,
                        WeightGradients* gradients) {
  Block s;
  alignas(64) float d_pre[BLOCK * P], scratch[BLOCK * P], d_message[BLOCK * W];
  for (int64_t a = start, rows; a < stop; a += rows) {
    rows = block_size(a, stop);
    angle_inputs(rows, a, left, right, centre_of, left_part, right_part, centre, angles, *weights,
                 s);
    gated_forward<true>(rows, *weights, s);
    for (int i = 0; i < rows; ++i) {
      const int64_t l = left[a + i] * W, r = right[a + i] * W;
      for (int j = 0; j < W; j += LANES) {
        const vf d = load(d_summed + l + j);
        const vf message = d * load(s.core + i * W + j) * load(s.gate + i * W + j);
        const vf here = load(envelope + l + j), there = load(envelope + r + j);
        add_to(d_envelope + l + j, message * there);
        add_to(d_envelope + r + j, message * here);
        store(d_message + i * W + j, d * here * there);
      }
    }
    gated_backward<true>(rows, d_message, *weights, *gradients, s, d_pre, scratch);
    scatter_angle_gradients(rows, a, left, right, centre_of, angles, *weights, d_pre, d_left,
                            d_right, d_centre, d_angles, *gradients);
  }
}

// Angles plus their own messages: updated [n_angles, W] is written for [start, stop).
void angle_update_forward(int64_t start, int64_t stop, const int64_t* left, const int64_t* right,
                          const int64_t* centre_of, const float* left_part,
                          const float* right_part, const float* centre, const float* angles,
                          const Weights* weights, float* updated) {
  Block s;
  for (int64_t a = start, rows; a < stop; a += rows) {
    rows = block_size(a, stop);
    angle_inputs(rows, a, left, right, centre_of, left_part, right_part, centre, angles, *weights,
                 s);
    gated_forward<false>(rows, *weights, s);
    for (int j = 0; j < rows * W; j += LANES)
      store(updated + a * W + j,
            load(angles + a * W + j) + load(s.core + j) * load(s.gate + j));
  }
}

// d_angles receives the gradient through the messages alone; the caller adds d_updated.
void angle_update_backward(int64_t start, int64_t stop, const int64_t* left, const int64_t* right,
                           const int64_t* centre_of, const float* left_part,
                           const float* right_part, const float* centre, const float* angles,
                           const Weights* weights, const float* d_updated, float* d_left,
                           float* d_right, float* d_centre, float* d_angles,
                           WeightGradients* gradients) {
  Block s;
  alignas(64) float d_pre[BLOCK * P], scratch[BLOCK * P];
  for (int64_t a = start, rows; a < stop; a += rows) {
    rows = block_size(a, stop);
    angle_inputs(rows, a, left, right, centre_of, left_part, right_part, centre, angles, *weights,
                 s);
    gated_forward<false>(rows, *weights, s);
    gated_backward<false>(rows, d_updated + a * W, *weights, *gradients, s, d_pre, scratch);
    scatter_angle_gradients(rows, a, left, right, centre_of, angles, *weights, d_pre, d_left,
                            d_right, d_centre, d_angles, *gradients);
  }
}
}
