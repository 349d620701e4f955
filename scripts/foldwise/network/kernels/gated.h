// The gated MLP of a block of edges or angles: `silu(norm(core)) * sigmoid(norm(gate))`, forward
// and backward.
#pragma once

#include "tiles.h"

#ifndef WIDTH
#define WIDTH 64
#endif

extern "C" {

// Weights of one gated MLP. `input_t` [W, P] multiplies the features that are not gathered (bond
// or angle) and `input` [P, W] is its transpose; `core_t`, `gate_t` [W, W] are the transposed
// hidden-to-output weights, `core`, `gate` the plain ones; null if there is no hidden layer.
struct Weights {
  const float *input_t, *input, *core_t, *gate_t, *core, *gate, *core_bias, *gate_bias;
  const float *core_gamma, *core_beta, *gate_gamma, *gate_beta;
  int64_t products;  // 0: by the vector units; 3 or 1 bfloat16 products by the tile unit
};

// Sums of the gradients of the above, to be added over calls; layout as the transposed weights.
struct WeightGradients {
  float *input_t, *core_t, *gate_t, *core_bias, *gate_bias;
  float *core_gamma, *core_beta, *gate_gamma, *gate_beta;
};

// What the forward pass leaves for the backward pass, row by row: the first layer before its
// activation [rows, P] (if there is a hidden layer), the normalised second layer [rows, P] and
// 1 / standard deviation of core and gate [rows, 2]. All null: the backward pass computes it again.
struct Kept {
  float *pre, *normal, *inverse;
};
}

namespace {

constexpr int W = WIDTH;          // features
constexpr int P = 2 * WIDTH;      // core half and gate half of a gated MLP
constexpr int V = W / LANES;      // vectors per row of W features
constexpr float EPSILON = 1e-5f;  // torch.nn.LayerNorm's default
static_assert(W % LANES == 0, "WIDTH must be a multiple of 16");

// One block in `Kept`'s form, in `own` if nothing is kept, and the hidden layer between.
template <int BLOCK>
struct Block {
  alignas(64) float own_pre[BLOCK * P], own_normal[BLOCK * P], own_inverse[BLOCK * 2];
  alignas(64) float hidden[BLOCK * P];  // first layer after its activation
  alignas(64) float squash[BLOCK * P];  // sigmoid of the first layer
  float *pre, *normal, *inverse;

  // Let the block hold the rows of `kept` from `row` on.
  void move_to(const Kept& kept, int64_t row) {
    pre = kept.pre == nullptr ? own_pre : kept.pre + row * P;
    normal = kept.normal == nullptr ? own_normal : kept.normal + row * P;
    inverse = kept.inverse == nullptr ? own_inverse : kept.inverse + row * 2;
  }
};

// Layer norm without its affine part, in place; returns 1 / standard deviation.
inline float normalise(vf* x) {
  vf total = x[0];
  for (int j = 1; j < V; ++j) total += x[j];
  const float mean = sum(total) / W;
  vf squares{};
  for (int j = 0; j < V; ++j) {
    x[j] -= mean;
    squares += x[j] * x[j];
  }
  const float inverse = 1.f / __builtin_sqrtf(sum(squares) / W + EPSILON);
  for (int j = 0; j < V; ++j) x[j] *= inverse;
  return inverse;
}

inline vf affine(vf x, const float* gamma, const float* beta, int at) {
  return x * load(gamma + at) + load(beta + at);
}

// block.hidden and block.squash from block.pre.
template <int BLOCK>
void activate(int rows, Block<BLOCK>& s) {
  for (int i = 0; i < rows * P; i += LANES) {
    const vf x = load(s.pre + i), squash = sigmoid(x);
    store(s.squash + i, squash);
    store(s.hidden + i, x * squash);
  }
}

// From block.pre to block.normal and block.inverse.
template <bool HIDDEN, class Products, int BLOCK>
void second_layer(int rows, const Weights& w, Products& products, Block<BLOCK>& s) {
  if (HIDDEN) {
    activate(rows, s);
    products.multiply(rows, W, W, s.hidden, P, 1, w.core_t, W, s.normal, P, false);
    products.multiply(rows, W, W, s.hidden + W, P, 1, w.gate_t, W, s.normal + W, P, false);
  }
  const float* second = HIDDEN ? s.normal : s.pre;
  for (int i = 0; i < rows; ++i)
    for (int half = 0; half < 2; ++half) {
      const int64_t start = i * P + half * W;
      const float* bias = half ? w.gate_bias : w.core_bias;
      vf x[V];
      for (int j = 0; j < V; ++j) {
        x[j] = load(second + start + j * LANES);
        if (HIDDEN) x[j] += load(bias + j * LANES);
      }
      s.inverse[2 * i + half] = normalise(x);
      for (int j = 0; j < V; ++j) store(s.normal + start + j * LANES, x[j]);
    }
}

// Calls take(row, feature, message) for every vector of the block's messages.
template <int BLOCK, class Take>
inline void messages(int rows, const Weights& w, const Block<BLOCK>& s, Take take) {
  for (int i = 0; i < rows; ++i)
    for (int at = 0; at < W; at += LANES) {
      const vf core = affine(load(s.normal + i * P + at), w.core_gamma, w.core_beta, at);
      const vf gate = affine(load(s.normal + i * P + W + at), w.gate_gamma, w.gate_beta, at);
      take(i, at, core * sigmoid(core) * sigmoid(gate));
    }
}

// Backward through the affine part and the layer norm of one half; `slope` becomes the gradient of
// the second layer's output.
inline void norm_backward(vf* slope, const float* normal, float inverse, const float* gamma,
                          float* d_gamma, float* d_beta) {
  vf x[V], sum_slope{}, sum_product{};
  for (int j = 0; j < V; ++j) {
    const int at = j * LANES;
    x[j] = load(normal + at);
    add_to(d_gamma + at, slope[j] * x[j]);
    add_to(d_beta + at, slope[j]);
    slope[j] *= load(gamma + at);
    sum_slope += slope[j];
    sum_product += slope[j] * x[j];
  }
  const float mean_slope = sum(sum_slope) / W, mean_product = sum(sum_product) / W;
  for (int j = 0; j < V; ++j) slope[j] = inverse * (slope[j] - mean_slope - x[j] * mean_product);
}

inline void add_columns(int rows, const float* from, float* to) {
  for (int at = 0; at < W; at += LANES) {
    vf total{};
    for (int i = 0; i < rows; ++i) total += load(from + i * P + at);
    add_to(to + at, total);
  }
}

// The gradient of block.pre, in `d_pre` [rows, P]. slope(row, feature, message) is the gradient of
// a vector of messages.
template <bool HIDDEN, class Products, int BLOCK, class Slope>
void gated_backward(int rows, const Weights& w, Products& products, WeightGradients& g,
                    const Block<BLOCK>& s, Slope slope, float* d_pre) {
  alignas(64) float scratch[HIDDEN ? BLOCK * P : 1];
  float* d_second = HIDDEN ? scratch : d_pre;
  for (int i = 0; i < rows; ++i) {
    const float* normal = s.normal + i * P;
    vf d_core[V], d_gate[V];
    for (int j = 0; j < V; ++j) {
      const int at = j * LANES;
      const vf core = affine(load(normal + at), w.core_gamma, w.core_beta, at);
      const vf gate = sigmoid(affine(load(normal + W + at), w.gate_gamma, w.gate_beta, at));
      const vf squash = sigmoid(core), activated = core * squash;
      const vf d = slope(i, at, activated * gate) * gate;
      d_core[j] = d * (squash + activated * (1.f - squash));
      d_gate[j] = d * activated * (1.f - gate);
    }
    norm_backward(d_core, normal, s.inverse[2 * i], w.core_gamma, g.core_gamma, g.core_beta);
    norm_backward(d_gate, normal + W, s.inverse[2 * i + 1], w.gate_gamma, g.gate_gamma,
                  g.gate_beta);
    for (int j = 0; j < V; ++j) {
      store(d_second + i * P + j * LANES, d_core[j]);
      store(d_second + i * P + W + j * LANES, d_gate[j]);
    }
  }
  if (!HIDDEN) return;
  add_columns(rows, d_second, g.core_bias);
  add_columns(rows, d_second + W, g.gate_bias);
  products.multiply(W, W, rows, s.hidden, 1, P, d_second, P, g.core_t, W, true);
  products.multiply(W, W, rows, s.hidden + W, 1, P, d_second + W, P, g.gate_t, W, true);
  products.multiply(rows, W, W, d_second, P, 1, w.core, W, d_pre, P, false);
  products.multiply(rows, W, W, d_second + W, P, 1, w.gate, W, d_pre + W, P, false);
  for (int i = 0; i < rows * P; i += LANES) {
    const vf x = load(s.pre + i), squash = load(s.squash + i);
    store(d_pre + i, load(d_pre + i) * squash * (1.f + x * (1.f - squash)));
  }
}

inline void add_row(float* to, const float* from) {
  for (int j = 0; j < P; j += LANES) add_to(to + j, load(from + j));
}

// Blocks end at multiples of `length` of the whole batch, wherever a range begins: an atom's
// messages are added in an order that does not depend on the ranges.
inline int block_size(int64_t start, int64_t stop, int length) {
  const int64_t left = length - start % length;
  return static_cast<int>(stop - start < left ? stop - start : left);
}

}  // namespace
