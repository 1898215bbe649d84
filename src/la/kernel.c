/* kernel.c -- the packed product and the dot product of one precision and instruction
 * set.
 *
 *     c_ij = s_ij + sum_k a_ik b_kj       (s: a start matrix, a row seen by all i, or
 * 0)
 *
 * Every c_ij is ONE chain: acc <- s_ij, then acc <- fma(a_ik, b_kj, acc) for k = 0, 1,
 * ... A chain cut into blocks of K passes through memory unchanged (a store and a load
 * of the same format round nothing), so blocking, the number of rows and a row's place
 * do not touch the bits. B is held in panels of WIDE vectors, k after k:
 *
 *     panel p: columns [p WIDE LANES, ...), K rows of its width; the last one is as
 * narrow
 *     as its columns allow, padded with zeros to whole vectors.
 *
 * Registers: a tile of up to TALL rows times WIDE vectors of accumulators. One row
 * alone takes several panels at once, to have as many independent chains as the FMA
 * unit's latency asks for. Reference: Goto and van de Geijn, Anatomy of
 * high-performance matrix multiplication, ACM TOMS 34 (2008), with the packing of A
 * left out (A is small here).
 */
#ifdef ROB_KERNEL
#include "la/kernel.h"
#include "la/vec.h"

#define INLINE static inline __attribute__((always_inline))

#if defined(ROB_KERNEL_avx512)
enum { TALL = 6, WIDE = 4, AT_ONCE = 2 };
#elif defined(ROB_KERNEL_avx2)
enum { TALL = 6, WIDE = 2, AT_ONCE = 4 };
#else
enum { TALL = 4, WIDE = 2, AT_ONCE = 4 };
#endif
enum { PANEL = WIDE * LANES, DEEP = 256, ROWS = 192 };

#define UNROLL _Pragma("GCC unroll 8")

/* one tile's operands; b advances `width` elements per k, `panel` from panel to panel
 */
typedef struct tile {
    int64_t k;
    const real *a;
    int64_t ra, ca;
    const real *b;
    int64_t panel;
    const real *start;
    int64_t lds;
    real *c;
    int64_t ldc;
    int64_t last; /* columns in the last vector */
} tile;

INLINE vec load_some(const real *p, int64_t n)
{
    if (n == LANES) return vec_load(p);
    vec v = { 0 };
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

INLINE void store_some(real *p, vec v, int64_t n)
{
    if (n == LANES) vec_store(p, v);
    else memcpy(p, &v, (size_t)n * sizeof *p);
}

/* C (rows, wide) = S + A (rows, k) B (k, wide); rows and wide are compile-time numbers
 */
INLINE void tile_of(const tile *t, const int rows, const int wide)
{
    vec acc[TALL][WIDE];
    const int64_t width = (int64_t)wide * LANES, ra = t->ra, ca = t->ca;
    const real *a = t->a, *b = t->b;

    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < wide; j++)
        acc[i][j] = !t->start ? (vec){ 0 }
                              : load_some(t->start + i * t->lds + j * LANES,
                                          j == wide - 1 ? t->last : LANES);
    for (int64_t k = t->k; k > 0; k--, a += ca, b += width) {
        vec column[WIDE];
        UNROLL for (int j = 0; j < wide; j++) column[j] = vec_load(b + j * LANES);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vec x = vec_all(a[i * ra]);
            UNROLL for (int j = 0; j < wide; j++) acc[i][j] =
                vec_fma(x, column[j], acc[i][j]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < wide; j++)
        store_some(t->c + i * t->ldc + j * LANES, acc[i][j],
                   j == wide - 1 ? t->last : LANES);
}

/* c (1, AT_ONCE panels) = s + a (1, k) B */
static void row_of_panels(const tile *t)
{
    vec acc[AT_ONCE][WIDE];
    const real *b = t->b;

    UNROLL for (int p = 0; p < AT_ONCE; p++) UNROLL for (int j = 0; j < WIDE; j++)
        acc[p][j] = t->start ? vec_load(t->start + p * PANEL + j * LANES) : (vec){ 0 };
    for (int64_t k = 0; k < t->k; k++, b += PANEL) {
        const vec x = vec_all(t->a[k * t->ca]);
        UNROLL for (int p = 0; p < AT_ONCE; p++) UNROLL for (int j = 0; j < WIDE; j++)
            acc[p][j] = vec_fma(x, vec_load(b + p * t->panel + j * LANES), acc[p][j]);
    }
    UNROLL for (int p = 0; p < AT_ONCE; p++) UNROLL for (int j = 0; j < WIDE; j++)
        vec_store(t->c + p * PANEL + j * LANES, acc[p][j]);
}

typedef void tile_kernel(const tile *t);
#define TILE(r, w)                                                                     \
    static void tile_##r##_##w(const tile *t) { tile_of(t, r, w); }
#define WIDTHS(TALLNESS) TILE(TALLNESS, 1) TILE(TALLNESS, 2)
WIDTHS(1)
WIDTHS(2) WIDTHS(3) WIDTHS(4)
#if defined(ROB_KERNEL_generic)
    static tile_kernel *const tile_table[TALL][WIDE] = {
        { tile_1_1, tile_1_2 },
        { tile_2_1, tile_2_2 },
        { tile_3_1, tile_3_2 },
        { tile_4_1, tile_4_2 },
    };
#else
    WIDTHS(5) WIDTHS(6)
#if defined(ROB_KERNEL_avx2)
        static tile_kernel *const tile_table[TALL][WIDE] = {
            { tile_1_1, tile_1_2 }, { tile_2_1, tile_2_2 }, { tile_3_1, tile_3_2 },
            { tile_4_1, tile_4_2 }, { tile_5_1, tile_5_2 }, { tile_6_1, tile_6_2 },
        };
#else
#define WIDER(TALLNESS) TILE(TALLNESS, 3) TILE(TALLNESS, 4)
        WIDER(1) WIDER(2) WIDER(3) WIDER(4) WIDER(5)
            WIDER(6) static tile_kernel *const tile_table[TALL][WIDE] = {
                { tile_1_1, tile_1_2, tile_1_3, tile_1_4 },
                { tile_2_1, tile_2_2, tile_2_3, tile_2_4 },
                { tile_3_1, tile_3_2, tile_3_3, tile_3_4 },
                { tile_4_1, tile_4_2, tile_4_3, tile_4_4 },
                { tile_5_1, tile_5_2, tile_5_3, tile_5_4 },
                { tile_6_1, tile_6_2, tile_6_3, tile_6_4 },
            };
#endif
#endif

/* C (m, n) = S + A (m, depth) B, B's panels `k` deep of which rows [first, first +
 * depth) */
typedef struct slab {
    int64_t m, n, k, first, depth;
} slab;

/* all rows against one panel of `columns` columns */
static void rows_of_panel(tile t, int64_t m, int64_t columns)
{
    const int wide = (int)((columns + LANES - 1) / LANES);
    t.last = columns - (int64_t)(wide - 1) * LANES;
    for (int64_t i = 0; i < m; i += TALL) {
        const int rows = m - i < TALL ? (int)(m - i) : TALL;
        tile_table[rows - 1][wide - 1](&t);
        t.a += TALL * t.ra;
        t.c += TALL * t.ldc;
        if (t.start) t.start += TALL * t.lds;
    }
}

/* one block of rows and one of k against all columns */
static void all_panels(tile t, const slab *s)
{
    const real *packed = t.b, *start = t.start;
    real *c = t.c;
    for (int64_t j = 0, step; j < s->n; j += step) {
        const int64_t left = s->n - j, columns = left < PANEL ? left : PANEL;
        const int64_t width = (columns + LANES - 1) / LANES * LANES;
        t.b = packed + j * s->k + s->first * width;
        t.c = c + j;
        t.start = start ? start + j : NULL;
        step = s->m == 1 && left >= AT_ONCE * PANEL ? AT_ONCE * PANEL : PANEL;
        if (step > PANEL) row_of_panels(&t);
        else rows_of_panel(t, s->m, columns);
    }
}

void R(la_product)(int64_t m, int64_t n, int64_t k, const void *a, int64_t ra,
                   int64_t ca, const void *packed, const void *start, int64_t lds,
                   void *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i += ROWS)
        for (int64_t p = 0; p == 0 || p < k; p += DEEP) {
            const slab s = { m - i < ROWS ? m - i : ROWS, n, k, p,
                             k - p < DEEP ? k - p : DEEP };
            real *to = (real *)c + i * ldc;
            const real *from = start ? (const real *)start + i * lds : NULL;
            const tile t = { s.depth,
                             (const real *)a + i * ra + p * ca,
                             ra,
                             ca,
                             packed,
                             k * PANEL,
                             p ? to : from,
                             p ? ldc : lds,
                             to,
                             ldc,
                             LANES };
            all_panels(t, &s);
        }
}

int64_t R(la_packed_bytes)(int64_t k, int64_t n)
{
    return k * ((n + LANES - 1) / LANES * LANES) * (int64_t)sizeof(real);
}

/* rows [first, end) of a panel whose columns lie `col` apart in B */
static void pack_rows(int64_t first, int64_t end, int64_t columns, int64_t width,
                      const real *b, int64_t row, int64_t col, real *to)
{
    if (col == 1) {
        for (int64_t i = first; i < end; i++)
            memcpy(to + i * width, b + i * row, (size_t)columns * sizeof(real));
        return;
    }
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = first; i < end; i++) to[i * width + j] = b[i * row + j * col];
}

/* one panel (k, width) of `columns` columns; zeros behind them */
static void pack_panel(int64_t k, int64_t columns, int64_t width, const real *b,
                       int64_t row, int64_t col, real *to)
{
    enum { RUN = 16 }; /* k at a time: reads stay in few lines */
    const size_t rest = (size_t)(width - columns) * sizeof(real);
    for (int64_t first = 0; first < k; first += RUN)
        pack_rows(first, first + RUN < k ? first + RUN : k, columns, width, b, row, col,
                  to);
    for (int64_t i = 0; i < k && rest > 0; i++)
        memset(to + i * width + columns, 0, rest);
}

void R(la_pack)(int64_t k, int64_t n, const void *b, int64_t row, int64_t col,
                void *packed)
{
    for (int64_t j = 0; j < n; j += PANEL) {
        const int64_t columns = n - j < PANEL ? n - j : PANEL;
        const int64_t width = (columns + LANES - 1) / LANES * LANES;
        pack_panel(k, columns, width, (const real *)b + j * col, row, col,
                   (real *)packed + j * k);
    }
}

/* sum_i x_i z_i in double: 16 interleaved chains, then a tree; the same bits
 * everywhere */
double R(la_dot)(int64_t n, const void *x, const void *z)
{
    enum { CHAINS = 16 };
    const real *u = x, *v = z;
    double sum[CHAINS] = { 0 };
    int64_t i = 0;
    for (; i + CHAINS <= n; i += CHAINS)
        for (int j = 0; j < CHAINS; j++) sum[j] += (double)u[i + j] * (double)v[i + j];
    for (int j = 0; i < n; i++, j++) sum[j] += (double)u[i] * (double)v[i];
    for (int half = CHAINS / 2; half > 0; half /= 2)
        for (int j = 0; j < half; j++) sum[j] += sum[j + half];
    return sum[0];
}
#else
typedef int rob_la_kernel_is_compiled_per_precision;
#endif
