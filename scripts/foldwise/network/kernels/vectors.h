// Vectors of floats in whatever registers the processor has, and the functions that act on them.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace {

constexpr int LANES = 16;  // floats per vector: one AVX-512 register, or two of AVX2

typedef float vf __attribute__((vector_size(LANES * 4)));
typedef int32_t vi __attribute__((vector_size(LANES * 4)));
typedef float vf_loose __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline vf load(const float* p) { return *reinterpret_cast<const vf_loose*>(p); }
inline void store(float* p, vf v) { *reinterpret_cast<vf_loose*>(p) = v; }
inline void add_to(float* p, vf v) { store(p, load(p) + v); }

// While one lives, its thread takes numbers below 1.2e-38 for zeros. Envelopes at the cutoff and
// closed gates make many of them, and some processors handle each one in microcode.
class FlushedToZero {
#if defined(__SSE2__)
  const unsigned before_ = _mm_getcsr();

 public:
  FlushedToZero() { _mm_setcsr(before_ | 0x8040); }  // results (FTZ) and operands (DAZ)
  ~FlushedToZero() { _mm_setcsr(before_); }
#elif defined(__aarch64__)
  uint64_t before_;

 public:
  FlushedToZero() {
    asm volatile("mrs %0, fpcr" : "=r"(before_));
    asm volatile("msr fpcr, %0" : : "r"(before_ | uint64_t{1} << 24) : "memory");  // FZ
  }
  ~FlushedToZero() { asm volatile("msr fpcr, %0" : : "r"(before_) : "memory"); }
#else
 public:
  FlushedToZero() {}
  ~FlushedToZero() {}
#endif
};

inline float sum(vf v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)v);
#else
  float total = 0.f;
  for (int i = 0; i < LANES / 2; ++i) total += v[i] + v[i + LANES / 2];
  return total;
#endif
}

// exp(-x) = 2^n 2^f with |f| <= 1/2 and a polynomial for 2^f (relative error below 3e-7).
inline vf exponential_of_minus(vf x) {
  const vf limit = vf{} + 87.f;
#if defined(__AVX512F__)  // both comparisons keep an x that is not a number
  x = (vf)_mm512_max_ps((__m512)-limit, _mm512_min_ps((__m512)limit, (__m512)x));
#else
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
#endif
  const vf shifted = x * -1.44269504088896341f + 12582912.f;  // rounds to the nearest integer
  const vf f = x * -1.44269504088896341f - (shifted - 12582912.f);
  vf p = vf{} + 1.329176435e-3f;
  p = p * f + 9.675624722e-3f;
  p = p * f + 5.550653939e-2f;
  p = p * f + 2.402212049e-1f;
  p = p * f + 6.931470227e-1f;
  p = p * f + 1.000000069f;
  return (vf)((vi)p + ((vi)shifted << 23));  // the lowest bits of `shifted` are n
}

// 1 / x for x >= 1: an estimate of 14 bits and one step of Newton's method, where there is one.
inline vf reciprocal(vf x) {
#if defined(__AVX512F__)
  const vf estimate = (vf)_mm512_rcp14_ps((__m512)x);
  return estimate * (2.f - x * estimate);
#else
  return 1.f / x;
#endif
}

inline vf sigmoid(vf x) { return reciprocal(1.f + exponential_of_minus(x)); }

}  // namespace
