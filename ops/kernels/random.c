/* random.c - streams of random draws: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as
   1, 2, 3", SC 2011). graph/philox.h is the scalar definition of a block.

   The stream named (key, step, index) is a sequence of blocks b = 0, 1, ... of four 32-bit words w0 .. w3:
       counter   low(b), high(b), low(step), high(step)      low, high: 32-bit halves
       key       key ^ splitmix64(index)
   f32: block b holds draws 4b .. 4b+3, one word each.
   f64: block b holds draws 2b, 2b+1, the words w0 + 2^32 w1 and w2 + 2^32 w3.
   uniform   u(i) = the upper 24 (53) bits of the word times 2^-24 (2^-53), in [0, 1)
   normal    of u = u(2i), v = u(2i+1) (Box and Muller 1958), r = sqrt(-2 log(1 - u)):
             draw 2i is r cos(2 pi v), draw 2i+1 is r sin(2 pi v) */
#include "list.h"
#include "vmath.h"

/* Words of Philox stand in the lower halves of 64-bit lanes; the upper halves hold anything. */
typedef uint64_t vwide __attribute__((vector_size(RGK_VECTOR_BYTES)));
#define WIDE (RGK_VECTOR_BYTES / 8)

#define DRAWS (2 * WIDE * 8 / RGK_REAL_BYTES) /* of WIDE blocks: a batch */

RGK_INLINE vwide multiply_low(vwide a, uint32_t b)
{
    const vwide m = b - (vwide){0};
#if RGK_VECTOR_BYTES == 64
    return (vwide)_mm512_mul_epu32((__m512i)a, (__m512i)m);
#elif RGK_VECTOR_BYTES == 32
    return (vwide)_mm256_mul_epu32((__m256i)a, (__m256i)m);
#elif RGK_HAVE_X86
    return (vwide)_mm_mul_epu32((__m128i)a, (__m128i)m);
#else
    return (a & 0xffffffffu) * m;
#endif
}

/* Finalizer of Steele, Lea and Flood's SplitMix. */
static uint64_t splitmix64(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Blocks [block, block + WIDE) as 64-bit words in the order of the stream. */
RGK_INLINE void philox(uint64_t key, uint64_t step, uint64_t block, uint64_t *out)
{
    vwide c0 = {0};
    for (unsigned i = 0; i < WIDE; i++)
        c0[i] = block + i;
    vwide c1 = c0 >> 32, c2 = step - (vwide){0}, c3 = c2 >> 32;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        const vwide p0 = multiply_low(c0, 0xd2511f53u), p1 = multiply_low(c2, 0xcd9e8d57u);
        c0 = (p1 >> 32) ^ c1 ^ k0;
        c2 = (p0 >> 32) ^ c3 ^ k1;
        c1 = p1;
        c3 = p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    const vwide first = (c0 & 0xffffffffu) | (c1 << 32), second = (c2 & 0xffffffffu) | (c3 << 32);
    for (unsigned i = 0; i < WIDE; i++) {
        out[2 * i] = first[i];
        out[2 * i + 1] = second[i];
    }
}

RGK_INLINE vuint load_words(const uint64_t *words)
{
    vuint w;
    memcpy(&w, words, sizeof w);
    return w;
}

/* Vector i of a batch of uniform draws. */
RGK_INLINE vreal uniform_vector(vuint w)
{
#if RGK_REAL_BYTES == 4
    return v_to_real((vint)(w >> 8)) * 0x1p-24f;
#else
    /* The halves of a 53-bit integer as mantissas; vectors of 64-bit integers convert slowly without AVX-512. */
    const vuint v = w >> 11;
    const vreal low = (vreal)((v & 0xffffffffu) | 0x4330000000000000u) - 0x1p52;
    const vreal high = (vreal)((v >> 32) | 0x4330000000000000u) - 0x1p52;
    return (high * 0x1p32 + low) * 0x1p-53;
#endif
}

RGK_INLINE void uniform_batch(const uint64_t *words, real *out)
{
    for (size_t i = 0; i < 2 * WIDE; i += WIDE)
        v_store(out + i * (8 / RGK_REAL_BYTES), uniform_vector(load_words(words + i)));
}

/* cos(2 pi v) and sin(2 pi v), 0 <= v < 1: quarter turns are split off exactly. */
RGK_INLINE void turn(vreal v, vreal *cosine, vreal *sine)
{
    const vreal quarters = RGK_C(4.0) * v, rounded = quarters + RGK_TRIG_ROUNDER;
    const vreal angle = (quarters - (rounded - RGK_TRIG_ROUNDER)) * RGK_HALF_PI;
    const vint quadrant = (vint)rounded;
    const vmask odd = v_is_odd(quadrant);
    const vreal c = v_cos_reduced(angle), s = v_sin_reduced(angle);
    *cosine = v_mul_sign(v_select(odd, s, c), v_bit_sign(v_add_bits(quadrant, v_set_int(1)), 1));
    *sine = v_mul_sign(v_select(odd, c, s), v_bit_sign(quadrant, 1));
}

RGK_INLINE void normal_batch(const uint64_t *words, real *out)
{
    real a[DRAWS / 2], b[DRAWS / 2];
    uniform_batch(words, out);
    for (int i = 0; i < DRAWS / 2; i++) {
        a[i] = out[2 * i];
        b[i] = out[2 * i + 1];
    }
    for (int i = 0; i < DRAWS / 2; i += RGK_LANES) {
        vreal cosine, sine;
        turn(v_load(b + i), &cosine, &sine);
        const vreal r = v_sqrt(RGK_C(-2.0) * v_log(RGK_C(1.0) - v_load(a + i)));
        v_store(a + i, r * cosine);
        v_store(b + i, r * sine);
    }
    for (int i = 0; i < DRAWS / 2; i++) {
        out[2 * i] = a[i];
        out[2 * i + 1] = b[i];
    }
}

/* Whole batches, of which the wanted part is copied out. */
RGK_INLINE void draw(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, real *y,
                     void (*batch)(const uint64_t *words, real *out))
{
    const uint64_t stream = key ^ splitmix64(index);
    uint64_t words[2 * WIDE];
    real draws[DRAWS];
    while (n > 0) {
        const uint64_t at = first / DRAWS;
        const size_t skip = (size_t)(first % DRAWS);
        const size_t count = n < DRAWS - skip ? n : DRAWS - skip;
        philox(stream, step, at * WIDE, words);
        batch(words, draws);
        memcpy(y, draws + skip, count * sizeof(real));
        first += count;
        y += count;
        n -= count;
    }
}

void RGK_NAME(uniform)(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, void *y)
{
    draw(key, step, index, first, n, y, uniform_batch);
}

void RGK_NAME(normal)(uint64_t key, uint64_t step, uint64_t index, uint64_t first, size_t n, void *y)
{
    draw(key, step, index, first, n, y, normal_batch);
}
