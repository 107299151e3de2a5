/* formula.c - how a size depends on named dimensions, found from its values under the two assignments.

   A size (a, b) is taken as  c * product of names * (k x + t)  with x one name. The names of the product are the primes
   that divide both values, each under its own assignment. What remains, (ra, rb), is a number if ra = rb; else for each
   name with primes (p, q)  k = (ra - rb) / (p - q),  t = ra - k p  is its one affine explanation, if k is an integer.
   A second name that has one too needs far larger numbers. A name promised to be a multiple of m stands as m p, so p
   itself is name / m. */
#include "graph.h"

#include <inttypes.h>
#include <stdio.h>

__extension__ typedef __int128 wide;

static int64_t gcd(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        const int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Divides the product of names out of both values. */
static bool take_names(const rgi_dims *dims, int64_t *ra, int64_t *rb, rgi_formula *f)
{
    for (size_t i = 0; i < dims->n; i++) {
        const rgi_dim *d = &dims->at[i];
        const int64_t p = d->a / d->multiple_of, q = d->b / d->multiple_of;
        while (*ra % p == 0 && *rb % q == 0) {
            if (f->n == RGI_FORMULA_NAMES || __builtin_mul_overflow(f->denominator, d->multiple_of, &f->denominator))
                return false;
            *ra /= p;
            *rb /= q;
            f->name[f->n++] = (int32_t)i;
        }
    }
    return true;
}

static uint64_t magnitude(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

/* Explains what remains by the one name that does it with the smallest numbers, common factor apart. */
static bool take_affine(const rgi_dims *dims, int64_t ra, int64_t rb, rgi_formula *f)
{
    int64_t best_k = 0, best_t = 0;
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < dims->n; i++) {
        const rgi_dim *d = &dims->at[i];
        const int64_t p = d->a / d->multiple_of, q = d->b / d->multiple_of, k = (ra - rb) / (p - q);
        int64_t kp, t;
        if ((ra - rb) % (p - q) || __builtin_mul_overflow(k, p, &kp) || __builtin_sub_overflow(ra, kp, &t))
            continue;
        const int64_t common = gcd(k, t);
        const uint64_t numbers = magnitude(k / common) + magnitude(t / common);
        if (numbers < least) {
            least = numbers;
            f->affine = (int32_t)i;
            best_k = k;
            best_t = t;
        }
    }
    if (f->affine < 0)
        return false;
    const int64_t common = gcd(best_k, best_t), m = dims->at[f->affine].multiple_of, shared = gcd(best_k / common, m);
    f->numerator = common;
    f->affine_scale = best_k / common / shared;
    f->affine_div = m / shared;
    return !__builtin_mul_overflow(best_t / common, f->affine_div, &f->affine_add);
}

bool rgi_formula_find(const rg_graph *g, int64_t a, int64_t b, rgi_formula *out)
{
    rgi_formula f = {.numerator = a, .denominator = 1, .affine = -1, .affine_div = 1};
    if (a != b) {
        if (a < 1 || b < 1 || !take_names(&g->dims, &a, &b, &f))
            return false;
        f.numerator = a;
        if (a != b && !take_affine(&g->dims, a, b, &f))
            return false;
        const int64_t common = gcd(f.numerator, f.denominator);
        f.numerator /= common;
        f.denominator /= common;
    }
    *out = f;
    return true;
}

/* Keeps a product of a few sizes far from the ends of 128 bits. */
static bool multiply(wide *product, int64_t factor)
{
    const wide limit = (wide)1 << 62;
    return !__builtin_mul_overflow(*product, (wide)factor, product) && *product <= limit * limit &&
           *product >= -limit * limit;
}

bool rgi_formula_value(const rgi_formula *f, const int64_t *sizes, int64_t *out)
{
    if (f->n == 1 && f->affine < 0 && f->denominator == 1) /* most are a name and a factor */
        return !__builtin_mul_overflow(f->numerator, sizes[f->name[0]], out) && *out >= 0;
    wide value = f->numerator;
    for (int32_t i = 0; i < f->n; i++)
        if (!multiply(&value, sizes[f->name[i]]))
            return false;
    if (f->affine >= 0) {
        const wide line = (wide)sizes[f->affine] * f->affine_scale + f->affine_add;
        if (line % f->affine_div || line / f->affine_div > INT64_MAX || line < 0 ||
            !multiply(&value, (int64_t)(line / f->affine_div)))
            return false;
    }
    if (value % f->denominator || value / f->denominator > INT64_MAX || value < 0)
        return false;
    *out = (int64_t)(value / f->denominator);
    return true;
}

/* "time", "time*2", "time-1", "time*2+1", "(time+2)/2" */
static void format_line(const char *name, const rgi_formula *f, bool brackets, char *buffer, size_t size)
{
    char scale[24] = "", add[24] = "", div[24] = "";
    if (f->affine_scale != 1)
        snprintf(scale, sizeof scale, "*%" PRId64, f->affine_scale);
    if (f->affine_add)
        snprintf(add, sizeof add, "%+" PRId64, f->affine_add);
    if (f->affine_div != 1)
        snprintf(div, sizeof div, ")/%" PRId64, f->affine_div);
    snprintf(buffer, size, "%s%s%s%s%s%s%s", brackets ? "(" : "", *div ? "(" : "", name, scale, add, div,
             brackets ? ")" : "");
}

const char *rgi_formula_format(const rg_graph *g, const rgi_formula *f, char *buffer, size_t size)
{
    const bool several = f->n > 0 || f->numerator != 1 || f->denominator != 1;
    size_t n = 0;
    buffer[0] = 0;
    if (f->affine >= 0) {
        format_line(g->dims.at[f->affine].name, f, several, buffer, size);
        while (n < size && buffer[n])
            n++;
    }
    for (int32_t i = 0; i < f->n && n < size; i++)
        n += (size_t)snprintf(buffer + n, size - n, "%s%s", n ? "*" : "", g->dims.at[f->name[i]].name);
    if (n < size && (f->numerator != 1 || n == 0))
        n += (size_t)snprintf(buffer + n, size - n, "%s%" PRId64, n ? "*" : "", f->numerator);
    if (n < size && f->denominator != 1)
        snprintf(buffer + n, size - n, "/%" PRId64, f->denominator);
    return buffer;
}
