/* samples.h - sample inputs for every op: the table that the tests of forward values and of transforms walk. */
#ifndef RETROGRADE_TESTS_SAMPLES_H
#define RETROGRADE_TESTS_SAMPLES_H

#include "reference.h"

#include <retrograde/retrograde.h>

#define SAMPLE_INPUTS 4

/* What stands for the letters of a shape such as "B,4": the sizes, and whether the graph is to see names. */
typedef struct sample_sizes {
    int64_t B, T, N;
    bool named;
} sample_sizes;

/* Values of one input. */
typedef struct sample_domain {
    rg_dtype dtype; /* 0: the type under test */
    enum {
        SAMPLE_UNIFORM, /* within [lo, hi] (both 0: [-2, 2]), at least 0.05 away from every kink */
        SAMPLE_LADDER,  /* distinct values over [lo, hi], shuffled; two ladders never share a value */
        SAMPLE_WHOLE,   /* whole numbers of [lo, hi] */
        SAMPLE_ROWS     /* positive, summing to 1 along the last axis */
    } kind;
    double lo, hi;
    int kinks;
    double kink[3];
    bool constant; /* no derivative with respect to this input is asked for */
} sample_domain;

/* Attributes of one case, read by the row's builder and by its reference. */
typedef struct sample_args {
    double f[3];
    int64_t i[4];
    bool flag, flag2;
    rg_axes axes[4];
    const char *shape;
} sample_args;

typedef struct sample_context {
    rg_graph *graph; /* NULL inside a reference */
    rg_dtype dtype;  /* the type under test */
    sample_sizes sizes;
    const sample_args *args;
    size_t n_in;
} sample_context;

typedef struct sample_case {
    const char *shape[SAMPLE_INPUTS]; /* NULL ends the list */
    sample_args args;
    bool no_empty;      /* the op refuses this case once B is 0 */
    rg_dtype only;      /* run in this type alone: a case that needs range or exactness; 0: all of the row */
    rg_dtype out;       /* dtype of the result where it is the case's, not the row's */
    bool no_derivative; /* differences are useless: a result rounded to f32, the mean of nothing */
} sample_case;

enum {
    SAMPLE_STRUCTURAL = 1 << 0,  /* covered by the tests named in `see` */
    SAMPLE_RANDOM = 1 << 1,      /* no reference: the tests named in `see` look at the distribution */
    SAMPLE_ZERO_GRAD = 1 << 2,   /* the derivative is zero with respect to every input */
    SAMPLE_ELEMENTWISE = 1 << 4, /* tried with NaN and infinity against the reference */
    SAMPLE_LIMITS = 1 << 5,      /* at an infinity a NaN stands where the formula has 0 * inf or inf - inf */
    SAMPLE_SIZED = 1 << 3,       /* inputs, if any, only say how large the named dimensions are */
    SAMPLE_FIXED = 1 << 6        /* for the values alone: no named dimension, no derivative */
};

typedef rg_node *(*sample_builder)(const sample_context *c, rg_node *const x[]);
typedef void (*sample_reference)(const sample_context *c, const ref_tensor x[], ref_tensor *y);

/* One op, or a public builder composed of several. Of the builders and references one each is set. */
typedef struct sample_row {
    const char *name;
    rg_node *(*unary)(rg_node *);
    rg_node *(*binary)(rg_node *, rg_node *);
    rg_node *(*ternary)(rg_node *, rg_node *, rg_node *);
    sample_builder build;
    double (*ref1)(double);
    double (*ref2)(double, double);
    double (*ref_each)(const sample_context *c, const double x[]); /* elementwise with attributes */
    sample_reference reference;
    const sample_case *cases;
    size_t n_cases;
    sample_domain domain[SAMPLE_INPUTS];
    double ulps32, ulps64; /* error allowed against the reference, of its scale; 0: exact */
    rg_dtype out;          /* dtype of the result; 0: the type under test */
    unsigned also;         /* RG_DT bits of further types for the inputs under test, compared exactly */
    unsigned flags;
    const char *see;
} sample_row;

#define SAMPLE_CASES(list) .cases = list, .n_cases = sizeof(list) / sizeof((list)[0])
#define SAMPLE_AXES(...)                            \
    {                                               \
        sizeof((int[]){__VA_ARGS__}) / sizeof(int), \
        {                                           \
            __VA_ARGS__                             \
        }                                           \
    }
#define SAMPLE_ALL \
    {              \
        -1,        \
        {          \
            0      \
        }          \
    }

/* The i-th row of the whole table, NULL beyond its end. */
const sample_row *sample_row_at(size_t i);
const sample_row *sample_row_find(const char *name);
size_t sample_inputs(const sample_case *c);
/* Whether the case has a size written as a letter. */
bool sample_case_named(const sample_case *c);

/* "B,4" as the graph is to see it, or in plain numbers where g is NULL or nothing is named. */
rg_shape sample_shape(rg_graph *g, const sample_sizes *sizes, const char *text);
rg_node *sample_build(const sample_row *row, const sample_context *c, rg_node *const x[]);
/* Computes the reference into *y, to be released with ref_free. */
void sample_refer(const sample_row *row, const sample_context *c, const ref_tensor x[], ref_tensor *y);
/* n values of a domain, exactly representable in `dtype`; `input` and `seed` choose the draw. */
void sample_fill(const sample_domain *d, rg_dtype dtype, rg_shape shape, int input, uint64_t seed, double *out);

/* Uniform in [0, 1), from a counter: SplitMix64. */
double sample_random(uint64_t *state);

/* The families, each ended by a row without a name. */
extern const sample_row samples_arithmetic[], samples_functions[], samples_activations[], samples_gradients[],
    samples_reduce[], samples_order[], samples_shape[], samples_linalg[], samples_loss[], samples_norm[],
    samples_pool[], samples_conv[], samples_window[], samples_random[], samples_structural[];

#endif
