/* reduce_pi.c - huge angles modulo pi / 2, after Payne and Hanek: of 2 / pi, only the bits that matter are
   multiplied. */
#include "reduce_pi.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 64 zero bits, then the bits of 2 / pi. */
static const uint64_t two_over_pi[] = {
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
};

/* 64 bits of the table from bit `at`. */
static uint64_t bits_at(unsigned at)
{
    const unsigned word = at / 64, shift = at % 64;
    return shift ? two_over_pi[word] << shift | two_over_pi[word + 1] >> (64 - shift) : two_over_pi[word];
}

static uint64_t multiply(uint64_t a, uint64_t b, uint64_t carry, uint64_t *high)
{
    __extension__ typedef unsigned __int128 wide;
    const wide p = (wide)a * b + carry;
    *high = (uint64_t)(p >> 64);
    return (uint64_t)p;
}

int rgk_reduce_pi(double x, double *r)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff) {
        *r = NAN;
        return 0;
    }
    if (exponent < 1023) { /* below 1, where vectors always can */
        *r = x;
        return 0;
    }
    /* x = m 2^e. Bit j of 2 / pi after the binary point weighs m 2^(e-j), a multiple of 4 for j <= e - 2: the window
       starts at j = e - 1, which is bit 63 + j of the table, so that its product is x 2 / pi modulo 4 in units of
       2^-190. */
    const uint64_t m = (bits & 0xfffffffffffff) | 0x10000000000000;
    const unsigned at = (unsigned)(exponent - 1023 - 52 - 1 + 63);
    uint64_t high, middle, low, carry;
    low = multiply(bits_at(at + 128), m, 0, &carry);
    middle = multiply(bits_at(at + 64), m, carry, &carry);
    high = multiply(bits_at(at), m, carry, &carry);
    int quadrant = (int)(high >> 62);
    /* The fraction, in units of 2^-192, to nearest: from 1/2 on it counts as negative. */
    high = high << 2 | middle >> 62;
    middle = middle << 2 | low >> 62;
    low <<= 2;
    const int negative = (int)(high >> 63);
    if (negative) {
        quadrant++;
        high = ~high, middle = ~middle, low = ~low;
    }
    int shift = 0;
    if (high == 0) {
        high = middle, middle = low;
        shift = 64;
    }
    const int zeros = high ? __builtin_clzll(high) : 63;
    if (zeros)
        high = high << zeros | middle >> (64 - zeros);
    /* 64 leading bits; a mantissa of long double holds them all where it can. */
    const long double fraction = ldexpl((long double)high, -64 - shift - zeros);
    const double angle = (double)(fraction * 1.57079632679489661923132169163975144L);
    *r = negative ? -angle : angle;
    return quadrant & 3;
}
