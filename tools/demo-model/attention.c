/* Softmax attention on a CPU, forward and backward, for many narrow heads: torch's own kernels spend more than half of the demo
 * model's training here, for their tiles are made for heads of 64 and more.
 *
 * q, o: [n][tq][heads][d]; k, v: [n][tk][heads][d]; log_sum: [n][heads][tq]; float, contiguous; widths of 64 at most, 1024 keys
 * at most. A vector holds the same number of LANES queries (or, for the gradients of k and v, of LANES keys), so that nothing is
 * ever summed across a vector; the other side is read one number at a time. Scores are never kept: the backward pass
 * recomputes them from log_sum (Dao et al. 2022), once along the keys for dq and once along the queries for dk and dv.
 *
 *   cc -O3 -march=native -ffast-math -fopenmp -shared -fPIC attention.c -o libattention.so -lm
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#define MAX_ROWS 1024
#define MAX_WIDTH 64
#define LANES 8
#define INLINE static inline __attribute__((always_inline))

typedef float vector __attribute__((vector_size(4 * LANES)));

INLINE vector all(float x) { return x - (vector){0}; }

INLINE vector larger(vector a, vector b) {
  for (int l = 0; l < LANES; l++) a[l] = a[l] > b[l] ? a[l] : b[l];
  return a;
}

INLINE vector exponential(vector x) {
  vector y;
#pragma omp simd
  for (int l = 0; l < LANES; l++) y[l] = expf(x[l]);
  return y;
}

/* Rows first .. first + LANES of one head as columns, `scale` times; rows past the end are zero. */
INLINE void load(vector *to, const float *from, int first, int rows, int stride, const int d, float scale) {
  for (int l = 0; l < LANES; l++)
    for (int c = 0; c < d; c++) to[c][l] = first + l < rows ? from[(size_t)(first + l) * stride + c] * scale : 0;
}

INLINE void store(float *to, const vector *from, int first, int rows, int stride, const int d, vector scale) {
  for (int l = 0; l < LANES && first + l < rows; l++)
    for (int c = 0; c < d; c++) to[(size_t)(first + l) * stride + c] = from[c][l] * scale[l];
}

/* sum over c of x[c] * row[c] */
INLINE vector dot(const vector *x, const float *row, const int d) {
  vector sum = x[0] * row[0];
#pragma GCC unroll 64
  for (int c = 1; c < d; c++) sum += x[c] * row[c];
  return sum;
}

INLINE void add(vector *sum, vector factor, const float *row, const int d) {
#pragma GCC unroll 64
  for (int c = 0; c < d; c++) sum[c] += factor * row[c];
}

/* 1 where key j may be seen by the query in the lane. */
INLINE vector seen(int first, int j) {
  vector mask;
  for (int l = 0; l < LANES; l++) mask[l] = j <= first + l ? 1 : 0;
  return mask;
}

INLINE void forward_head(const float *q, const float *k, const float *v, float *o, float *log_sum,
                         int tq, int tk, int stride, const int d, int causal) {
  vector score[MAX_ROWS];
  for (int i = 0; i < tq; i += LANES) {
    const int n = causal && i + LANES < tk ? i + LANES : tk;
    vector x[MAX_WIDTH], out[MAX_WIDTH] = {0}, top = all(-1e30f), sum = all(0);
    load(x, q, i, tq, stride, d, 1 / sqrtf(d));
    for (int j = 0; j < n; j++) {
      vector s = dot(x, k + (size_t)j * stride, d);
      if (causal && j > i) s += (seen(i, j) - 1) * 1e30f;
      score[j] = s;
      top = larger(top, s);
    }
    for (int j = 0; j < n; j++) {
      const vector p = exponential(score[j] - top);
      sum += p;
      add(out, p, v + (size_t)j * stride, d);
    }
    store(o, out, i, tq, stride, d, 1 / sum);
    for (int l = 0; l < LANES && i + l < tq; l++) log_sum[i + l] = top[l] + logf(sum[l]);
  }
}

INLINE void backward_head(const float *q, const float *k, const float *v, const float *o, const float *log_sum, const float *go,
                          float *gq, float *gk, float *gv, int tq, int tk, int stride, const int d, int causal) {
  const float scale = 1 / sqrtf(d);
  float dots[MAX_ROWS];
  for (int i = 0; i < tq; i++) {
    dots[i] = 0;
    for (int c = 0; c < d; c++) dots[i] += go[(size_t)i * stride + c] * o[(size_t)i * stride + c];
  }
  for (int i = 0; i < tq; i += LANES) {
    const int n = causal && i + LANES < tk ? i + LANES : tk;
    vector x[MAX_WIDTH], g[MAX_WIDTH], sum[MAX_WIDTH] = {0}, log_i, dot_i;
    load(x, q, i, tq, stride, d, scale);
    load(g, go, i, tq, stride, d, 1);
    for (int l = 0; l < LANES; l++) {
      log_i[l] = i + l < tq ? log_sum[i + l] : 1e30f;
      dot_i[l] = i + l < tq ? dots[i + l] : 0;
    }
    for (int j = 0; j < n; j++) {
      vector p = exponential(dot(x, k + (size_t)j * stride, d) - log_i);
      if (causal && j > i) p *= seen(i, j);
      add(sum, p * (dot(g, v + (size_t)j * stride, d) - dot_i), k + (size_t)j * stride, d);
    }
    store(gq, sum, i, tq, stride, d, all(scale));
  }
  for (int j = 0; j < tk; j += LANES) {
    vector x[MAX_WIDTH], y[MAX_WIDTH], gx[MAX_WIDTH] = {0}, gy[MAX_WIDTH] = {0};
    load(x, k, j, tk, stride, d, scale);
    load(y, v, j, tk, stride, d, 1);
    for (int i = causal ? j : 0; i < tq; i++) {
      vector p = exponential(dot(x, q + (size_t)i * stride, d) - log_sum[i]);
      if (causal && i < j + LANES)
        for (int l = 0; l < LANES; l++) p[l] = j + l <= i ? p[l] : 0;
      const vector gs = p * (dot(y, go + (size_t)i * stride, d) - dots[i]);
      add(gx, gs, q + (size_t)i * stride, d);
      add(gy, p, go + (size_t)i * stride, d);
    }
    store(gk, gx, j, tk, stride, d, all(scale));
    store(gv, gy, j, tk, stride, d, all(1));
  }
}

/* A loop of its own for each width: the compiler unrolls it. */
#define FOR_WIDTH(d, call) \
  switch (d) { \
    case 4: { const int D = 4; call; break; } \
    case 8: { const int D = 8; call; break; } \
    case 12: { const int D = 12; call; break; } \
    case 16: { const int D = 16; call; break; } \
    case 20: { const int D = 20; call; break; } \
    case 32: { const int D = 32; call; break; } \
    default: { const int D = d; call; } \
  }

void forward(const float *q, const float *k, const float *v, float *o, float *log_sum,
             int n, int tq, int tk, int heads, int d, int causal) {
  const int stride = heads * d;
#pragma omp parallel for schedule(dynamic)
  for (int b = 0; b < n * heads; b++) {
    const size_t qa = ((size_t)(b / heads) * tq * heads + b % heads) * d;
    const size_t ka = ((size_t)(b / heads) * tk * heads + b % heads) * d;
    FOR_WIDTH(d, forward_head(q + qa, k + ka, v + ka, o + qa, log_sum + (size_t)b * tq, tq, tk, stride, D, causal))
  }
}

void backward(const float *q, const float *k, const float *v, const float *o, const float *log_sum, const float *go,
              float *gq, float *gk, float *gv, int n, int tq, int tk, int heads, int d, int causal) {
  const int stride = heads * d;
#pragma omp parallel for schedule(dynamic)
  for (int b = 0; b < n * heads; b++) {
    const size_t qa = ((size_t)(b / heads) * tq * heads + b % heads) * d;
    const size_t ka = ((size_t)(b / heads) * tk * heads + b % heads) * d;
    FOR_WIDTH(d, backward_head(q + qa, k + ka, v + ka, o + qa, log_sum + (size_t)b * tq, go + qa,
                               gq + qa, gk + ka, gv + ka, tq, tk, stride, D, causal))
  }
}
