/* Softmax attention on a CPU, forward and backward, for many narrow heads: torch's own kernels spend more than half of the demo
 * model's training here, for their tiles are made for heads of 64 and more.
 *
 * q, o: [n][tq][heads][d]; k, v: [n][tk][heads][d]; log_sum: [n][heads][tq]; float, contiguous. One (n, head) at a time lies
 * transposed in a core's cache ([d][tk]), so that the inner loops run along the keys. Scores are never kept: the backward pass
 * recomputes them from log_sum (Dao et al. 2022).
 *
 *   cc -O3 -march=native -mprefer-vector-width=512 -ffast-math -fopenmp -shared -fPIC attention.c -o libattention.so -lm
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#define MAX_KEYS 1024
#define MAX_WIDTH 64

#define LANES 16

/* A line more than a power of two: rows exactly 4 KB apart would all fight for the same lines of the cache. */
typedef float row[MAX_KEYS + LANES] __attribute__((aligned(64)));
typedef float vector __attribute__((vector_size(4 * LANES)));

static inline float sum_of(vector v) {
  float sum = 0;
  for (int l = 0; l < LANES; l++) sum += v[l];
  return sum;
}

/* Zero up to the next whole vector, so that loops over vectors may run past the last key. Returns how many vectors. */
static inline int pad(float *p, int n) {
  for (int j = n; j % LANES; j++) p[j] = 0;
  return (n + LANES - 1) / LANES;
}

/* Rows of one head, as columns. */
static inline void transpose(const float *from, row *to, int tk, int heads, int d) {
  for (int j = 0; j < tk; j++)
    for (int c = 0; c < d; c++) to[c][j] = from[(size_t)j * heads * d + c];
  for (int c = 0; c < d; c++) pad(to[c], tk);
}

static inline void transpose_back(row *from, float *to, int tk, int heads, int d) {
  for (int j = 0; j < tk; j++)
    for (int c = 0; c < d; c++) to[(size_t)j * heads * d + c] = from[c][j];
}

/* s[j] = sum over c of x[c] * m[c][j] */
static inline __attribute__((always_inline)) void times(const float *x, row *m, float *s, int n, const int d) {
#pragma omp simd
  for (int j = 0; j < n; j++) {
    float sum = 0;
#pragma GCC unroll 64
    for (int c = 0; c < d; c++) sum += x[c] * m[c][j];
    s[j] = sum;
  }
}

static inline __attribute__((always_inline)) void forward_head(
    const float *q, const float *k, const float *v, float *o, float *log_sum, int tq, int tk, int heads, const int d, int causal) {
  row kt[d], vt[d], p;
  const float scale = 1 / sqrtf(d);
  transpose(k, kt, tk, heads, d);
  transpose(v, vt, tk, heads, d);
  for (int i = 0; i < tq; i++) {
    const int n = causal ? i + 1 : tk;
    float x[MAX_WIDTH], top = -1e30f, sum = 0;
    for (int c = 0; c < d; c++) x[c] = q[(size_t)i * heads * d + c] * scale;
    times(x, kt, p, n, d);
#pragma omp simd reduction(max : top)
    for (int j = 0; j < n; j++) top = p[j] > top ? p[j] : top;
#pragma omp simd reduction(+ : sum)
    for (int j = 0; j < n; j++) {
      p[j] = expf(p[j] - top);
      sum += p[j];
    }
    const int vectors = pad(p, n);
    vector out[MAX_WIDTH] = {0};
    for (int j = 0; j < vectors; j++)
#pragma GCC unroll 64
      for (int c = 0; c < d; c++) out[c] += ((vector *)p)[j] * ((vector *)vt[c])[j];
    for (int c = 0; c < d; c++) o[(size_t)i * heads * d + c] = sum_of(out[c]) / sum;
    log_sum[i] = top + logf(sum);
  }
}

static inline __attribute__((always_inline)) void backward_head(
    const float *q, const float *k, const float *v, const float *o, const float *log_sum, const float *go,
    float *gq, float *gk, float *gv, int tq, int tk, int heads, const int d, int causal) {
  row kt[d], vt[d], gkt[d], gvt[d], p, gs;
  const float scale = 1 / sqrtf(d);
  transpose(k, kt, tk, heads, d);
  transpose(v, vt, tk, heads, d);
  for (int c = 0; c < d; c++) {
    memset(gkt[c], 0, sizeof(row));
    memset(gvt[c], 0, sizeof(row));
  }
  for (int i = 0; i < tq; i++) {
    const int n = causal ? i + 1 : tk;
    const size_t at = (size_t)i * heads * d;
    float x[MAX_WIDTH], g[MAX_WIDTH], dot = 0;
    for (int c = 0; c < d; c++) {
      x[c] = q[at + c] * scale;
      g[c] = go[at + c];
      dot += g[c] * o[at + c];
    }
    times(x, kt, p, n, d);
    times(g, vt, gs, n, d);
#pragma omp simd
    for (int j = 0; j < n; j++) {
      p[j] = expf(p[j] - log_sum[i]);
      gs[j] = p[j] * (gs[j] - dot);
    }
    const int vectors = pad(p, n);
    pad(gs, n);
    vector sum[MAX_WIDTH] = {0};
    for (int j = 0; j < vectors; j++) {
      const vector gsj = ((vector *)gs)[j], pj = ((vector *)p)[j];
#pragma GCC unroll 64
      for (int c = 0; c < d; c++) {
        sum[c] += gsj * ((vector *)kt[c])[j];
        ((vector *)gkt[c])[j] += gsj * x[c];
        ((vector *)gvt[c])[j] += pj * g[c];
      }
    }
    for (int c = 0; c < d; c++) gq[at + c] = sum_of(sum[c]) * scale;
  }
  transpose_back(gkt, gk, tk, heads, d);
  transpose_back(gvt, gv, tk, heads, d);
}

/* A loop of its own for each width: the compiler unrolls it. */
#define FOR_WIDTH(d, call) \
  switch (d) { \
    case 8: { const int D = 8; call; break; } \
    case 12: { const int D = 12; call; break; } \
    case 16: { const int D = 16; call; break; } \
    case 32: { const int D = 32; call; break; } \
    default: { const int D = d; call; } \
  }

void forward(const float *q, const float *k, const float *v, float *o, float *log_sum,
             int n, int tq, int tk, int heads, int d, int causal) {
#pragma omp parallel for schedule(static)
  for (int b = 0; b < n * heads; b++) {
    const size_t qa = ((size_t)(b / heads) * tq * heads + b % heads) * d;
    const size_t ka = ((size_t)(b / heads) * tk * heads + b % heads) * d;
    FOR_WIDTH(d, forward_head(q + qa, k + ka, v + ka, o + qa, log_sum + (size_t)b * tq, tq, tk, heads, D, causal))
  }
}

void backward(const float *q, const float *k, const float *v, const float *o, const float *log_sum, const float *go,
              float *gq, float *gk, float *gv, int n, int tq, int tk, int heads, int d, int causal) {
#pragma omp parallel for schedule(static)
  for (int b = 0; b < n * heads; b++) {
    const size_t qa = ((size_t)(b / heads) * tq * heads + b % heads) * d;
    const size_t ka = ((size_t)(b / heads) * tk * heads + b % heads) * d;
    FOR_WIDTH(d, backward_head(q + qa, k + ka, v + ka, o + qa, log_sum + (size_t)b * tq, go + qa,
                               gq + qa, gk + ka, gv + ka, tq, tk, heads, D, causal))
  }
}
