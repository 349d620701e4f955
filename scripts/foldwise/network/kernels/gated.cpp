// Fused message kernels of CHGNet for CPUs: gather, gated MLP and scatter in blocks that stay in
// the cache, with their gradients. One call works on a contiguous range of edges or angles whose
// crystals no other call touches, so that calls run in parallel threads without atomics.
//
// Compiled by foldwise.network.kernels.library with -DWIDTH=<features>. Matrices are row-major;
// indices are int64. Nothing here depends on PyTorch.
#include <cstring>

#include "gated.h"

namespace {

template <class T>
struct Type {
  using type = T;
};

// First layer of the edges that point from `from` to `to`: the bonds' part plus both atoms'.
inline void edge_inputs(int rows, const int64_t* to, const int64_t* from, const float* projected,
                        const float* centre, const float* neighbour, float* pre) {
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < P; j += LANES)
      store(pre + i * P + j, load(projected + i * P + j) + load(centre + to[i] * P + j) +
                                 load(neighbour + from[i] * P + j));
}

template <class Products>
void atom_conv(int64_t start, int64_t stop, int64_t n_edges, const int64_t* first,
               const int64_t* second, const float* centre, const float* neighbour,
               const float* bonds, const float* envelope, const Weights& weights, const Kept& kept,
               float* summed) {
  constexpr int BLOCK = Products::BLOCK;
  Products products;
  Block<BLOCK> s;
  alignas(64) float projected[BLOCK * P];
  for (int64_t e = start, rows; e < stop; e += rows) {
    rows = block_size(e, stop, BLOCK);
    products.multiply(rows, P, W, bonds + e * W, W, 1, weights.input_t, P, projected, P, false);
    for (int direction = 0; direction < 2; ++direction) {
      const int64_t* to = (direction ? second : first) + e;
      const int64_t* from = (direction ? first : second) + e;
      s.move_to(kept, direction * n_edges + e);
      edge_inputs(rows, to, from, projected, centre, neighbour, s.pre);
      second_layer<true>(rows, weights, products, s);
      messages(rows, weights, s, [&](int i, int at, vf message) {
        add_to(summed + to[i] * W + at, message * load(envelope + (e + i) * W + at));
      });
    }
  }
}

template <class Products>
void atom_conv_gradients(int64_t start, int64_t stop, int64_t n_edges, const int64_t* first,
                         const int64_t* second, const float* centre, const float* neighbour,
                         const float* bonds, const float* envelope, const Weights& weights,
                         const Kept& kept, const float* d_summed, float* d_centre,
                         float* d_neighbour, float* d_bonds, float* d_envelope,
                         WeightGradients& gradients) {
  constexpr int BLOCK = Products::BLOCK;
  Products products;
  Block<BLOCK> s;
  alignas(64) float projected[BLOCK * P], d_projected[BLOCK * P], d_pre[BLOCK * P];
  for (int64_t e = start, rows; e < stop; e += rows) {
    rows = block_size(e, stop, BLOCK);
    if (kept.normal == nullptr)
      products.multiply(rows, P, W, bonds + e * W, W, 1, weights.input_t, P, projected, P, false);
    for (int direction = 0; direction < 2; ++direction) {
      const int64_t* to = (direction ? second : first) + e;
      const int64_t* from = (direction ? first : second) + e;
      s.move_to(kept, direction * n_edges + e);
      if (kept.normal == nullptr) {
        edge_inputs(rows, to, from, projected, centre, neighbour, s.pre);
        second_layer<true>(rows, weights, products, s);
      } else {
        activate(rows, s);
      }
      const auto slope = [&](int i, int at, vf message) {
        const vf d = load(d_summed + to[i] * W + at);
        float* d_weight = d_envelope + (e + i) * W + at;
        store(d_weight, direction ? load(d_weight) + d * message : d * message);
        return d * load(envelope + (e + i) * W + at);
      };
      gated_backward<true>(rows, weights, products, gradients, s, slope, d_pre);
      for (int i = 0; i < rows; ++i) {
        add_row(d_centre + to[i] * P, d_pre + i * P);
        add_row(d_neighbour + from[i] * P, d_pre + i * P);
      }
      if (direction == 0)
        std::memcpy(d_projected, d_pre, sizeof(float) * rows * P);
      else
        for (int i = 0; i < rows; ++i) add_row(d_projected + i * P, d_pre + i * P);
    }
    products.multiply(rows, W, P, d_projected, P, 1, weights.input, W, d_bonds + e * W, W, false);
    products.multiply(W, P, rows, bonds + e * W, 1, W, d_projected, P, gradients.input_t, P, true);
  }
}

// Where the angles [a, a + rows) point to, and the projected features that they gather.
struct Angles {
  const int64_t *left, *right, *centre_of;
  const float *left_part, *right_part, *centre, *angles;
};

template <class Products>
void angle_inputs(int rows, int64_t a, const Angles& from, const Weights& weights,
                  Products& products, float* pre) {
  products.multiply(rows, P, W, from.angles + a * W, W, 1, weights.input_t, P, pre, P, false);
  for (int64_t i = 0; i < rows; ++i)
    for (int j = 0; j < P; j += LANES)
      add_to(pre + i * P + j, load(from.left_part + from.left[a + i] * P + j) +
                                  load(from.right_part + from.right[a + i] * P + j) +
                                  load(from.centre + from.centre_of[a + i] * P + j));
}

// Calls take(angle, feature, message) for every vector of the messages of [start, stop).
template <bool HIDDEN, class Products, class Take>
void angle_messages(int64_t start, int64_t stop, const Angles& from, const Weights& weights,
                    const Kept& kept, Take take) {
  Products products;
  Block<Products::BLOCK> s;
  for (int64_t a = start, rows; a < stop; a += rows) {
    rows = block_size(a, stop, Products::BLOCK);
    s.move_to(kept, a);
    angle_inputs(rows, a, from, weights, products, s.pre);
    second_layer<HIDDEN>(rows, weights, products, s);
    messages(rows, weights, s, [&](int i, int at, vf message) { take(a + i, at, message); });
  }
}

// slope(angle, feature, message) is the gradient of a vector of messages.
template <bool HIDDEN, class Products, class Slope>
void angle_gradients(int64_t start, int64_t stop, const Angles& from, const Weights& weights,
                     const Kept& kept, Slope slope, float* d_left, float* d_right,
                     float* d_centre, float* d_angles, WeightGradients& gradients) {
  constexpr int BLOCK = Products::BLOCK;
  Products products;
  Block<BLOCK> s;
  alignas(64) float d_pre[BLOCK * P];
  for (int64_t a = start, rows; a < stop; a += rows) {
    rows = block_size(a, stop, BLOCK);
    s.move_to(kept, a);
    if (kept.normal == nullptr) {
      angle_inputs(rows, a, from, weights, products, s.pre);
      second_layer<HIDDEN>(rows, weights, products, s);
    } else if (HIDDEN) {
      activate(rows, s);
    }
    gated_backward<HIDDEN>(
        rows, weights, products, gradients, s,
        [&](int i, int at, vf message) { return slope(a + i, at, message); }, d_pre);
    for (int i = 0; i < rows; ++i) {
      add_row(d_left + from.left[a + i] * P, d_pre + i * P);
      add_row(d_right + from.right[a + i] * P, d_pre + i * P);
      add_row(d_centre + from.centre_of[a + i] * P, d_pre + i * P);
    }
    // Updated angles are the old ones plus their messages: their gradient is there already.
    products.multiply(rows, W, P, d_pre, P, 1, weights.input, W, d_angles + a * W, W, !HIDDEN);
    products.multiply(W, P, rows, from.angles + a * W, 1, W, d_pre, P, gradients.input_t, P, true);
  }
}

// Calls run(products) with the products that the weights ask for.
template <class Run>
void with_products(const Weights& weights, Run run) {
  const FlushedToZero flushed;
#if defined(TILES)
  if constexpr (W % 32 == 0) {
    if (weights.products == 3) return run(Type<Tiles<P, true>>{});
    if (weights.products == 1) return run(Type<Tiles<P, false>>{});
  }
#endif
  run(Type<Float32>{});
}

}  // namespace

extern "C" {

// Whether the process may use a tile unit.
int has_tiles() {
#if defined(TILES)
  return W % 32 == 0 && TileUnit::permitted();
#else
  return 0;
#endif
}

// Messages of both directions of the undirected edges [start, stop), times the envelope weights,
// summed at their centre atoms.
//   centre, neighbour [n_atoms, P]  projected atom features (centre with the first layer's bias)
//   bonds [n_edges, W], envelope [n_edges, W], summed [n_atoms, W] (added to)
//   kept [2 * n_edges], the second direction after the first
void atom_conv_forward(int64_t start, int64_t stop, int64_t n_edges, const int64_t* first,
                       const int64_t* second, const float* centre, const float* neighbour,
                       const float* bonds, const float* envelope, const Weights* weights,
                       const Kept* kept, float* summed) {
  with_products(*weights, [&](auto products) {
    using Products = typename decltype(products)::type;
    atom_conv<Products>(start, stop, n_edges, first, second, centre, neighbour, bonds, envelope,
                       *weights, *kept, summed);
  });
}

// d_bonds and d_envelope are written for [start, stop), the other gradients added to.
void atom_conv_backward(int64_t start, int64_t stop, int64_t n_edges, const int64_t* first,
                        const int64_t* second, const float* centre, const float* neighbour,
                        const float* bonds, const float* envelope, const Weights* weights,
                        const Kept* kept, const float* d_summed, float* d_centre,
                        float* d_neighbour, float* d_bonds, float* d_envelope,
                        WeightGradients* gradients) {
  with_products(*weights, [&](auto products) {
    using Products = typename decltype(products)::type;
    atom_conv_gradients<Products>(start, stop, n_edges, first, second, centre, neighbour, bonds,
                                 envelope, *weights, *kept, d_summed, d_centre, d_neighbour,
                                 d_bonds, d_envelope, *gradients);
  });
}

// Messages of the angles [start, stop), times the envelope weights of both bonds, summed at the
// left one. left_part, right_part [n_short, P] and centre [n_atoms, P] are projected features;
// angles [n_angles, W], envelope [n_short, W], summed [n_short, W] (added to); kept [n_angles].
void bond_conv_forward(int64_t start, int64_t stop, int64_t, const int64_t* left,
                       const int64_t* right, const int64_t* centre_of, const float* left_part,
                       const float* right_part, const float* centre, const float* angles,
                       const float* envelope, const Weights* weights, const Kept* kept,
                       float* summed) {
  const Angles from{left, right, centre_of, left_part, right_part, centre, angles};
  const auto take = [&](int64_t angle, int at, vf message) {
    const int64_t l = left[angle] * W + at, r = right[angle] * W + at;
    add_to(summed + l, message * load(envelope + l) * load(envelope + r));
  };
  with_products(*weights, [&](auto products) {
    using Products = typename decltype(products)::type;
    angle_messages<true, Products>(start, stop, from, *weights, *kept, take);
  });
}

// d_angles is written for [start, stop), the other gradients are added to.
void bond_conv_backward(int64_t start, int64_t stop, int64_t, const int64_t* left,
                        const int64_t* right, const int64_t* centre_of, const float* left_part,
                        const float* right_part, const float* centre, const float* angles,
                        const float* envelope, const Weights* weights, const Kept* kept,
                        const float* d_summed, float* d_left, float* d_right, float* d_centre,
                        float* d_angles, float* d_envelope, WeightGradients* gradients) {
  const Angles from{left, right, centre_of, left_part, right_part, centre, angles};
  const auto slope = [&](int64_t angle, int at, vf message) {
    const int64_t l = left[angle] * W + at, r = right[angle] * W + at;
    const vf d = load(d_summed + l), here = load(envelope + l), there = load(envelope + r);
    add_to(d_envelope + l, d * message * there);
    add_to(d_envelope + r, d * message * here);
    return d * here * there;
  };
  with_products(*weights, [&](auto products) {
    using Products = typename decltype(products)::type;
    angle_gradients<true, Products>(start, stop, from, *weights, *kept, slope, d_left, d_right,
                                   d_centre, d_angles, *gradients);
  });
}

// Angles plus their own messages: updated [n_angles, W] is written for [start, stop).
void angle_update_forward(int64_t start, int64_t stop, int64_t, const int64_t* left,
                          const int64_t* right, const int64_t* centre_of, const float* left_part,
                          const float* right_part, const float* centre, const float* angles,
                          const Weights* weights, const Kept* kept, float* updated) {
  const Angles from{left, right, centre_of, left_part, right_part, centre, angles};
  const auto take = [&](int64_t angle, int at, vf message) {
    store(updated + angle * W + at, load(angles + angle * W + at) + message);
  };
  with_products(*weights, [&](auto products) {
    using Products = typename decltype(products)::type;
    angle_messages<false, Products>(start, stop, from, *weights, *kept, take);
  });
}

// d_angles holds d_updated and receives the gradient through the messages.
void angle_update_backward(int64_t start, int64_t stop, int64_t, const int64_t* left,
                           const int64_t* right, const int64_t* centre_of, const float* left_part,
                           const float* right_part, const float* centre, const float* angles,
                           const Weights* weights, const Kept* kept, const float* d_updated,
                           float* d_left, float* d_right, float* d_centre, float* d_angles,
                           WeightGradients* gradients) {
  const Angles from{left, right, centre_of, left_part, right_part, centre, angles};
  const auto slope = [&](int64_t angle, int at, vf) { return load(d_updated + angle * W + at); };
  with_products(*weights, [&](auto products) {
    using Products = typename decltype(products)::type;
    angle_gradients<false, Products>(start, stop, from, *weights, *kept, slope, d_left, d_right,
                                    d_centre, d_angles, *gradients);
  });
}
}
