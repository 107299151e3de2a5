/* labels.h - rows with a class each: what cross entropy, negative log likelihood and their gradients share.

   The values are [.., classes], the labels integers [..]. The weights of the classes are [classes], or [l.., classes]
   with the first axes l.. of the labels (batch rules make such): each row then reads the weights at its own l... */
#ifndef RGI_LABELS_H
#define RGI_LABELS_H

#include "common.h"

typedef struct rgi_label_attr {
    double smoothing;
    bool has_ignore;
    int64_t ignore;
} rgi_label_attr;

extern const rg_attr_field rgi_label_attrs[];

/* Checks input 1 as the labels of input `values`, and input `weight` if there is one. */
rg_status rgi_label_infer(const rg_infer *call, size_t values, size_t weight);
/* The same as concrete sizes. */
typedef struct rgi_rows {
    size_t n, classes;
    size_t sharing; /* rows that read the same weights */
    size_t group;   /* rows of a task */
    rg_dtype dtype;
    const void *weight; /* NULL: 1 */
} rgi_rows;
rgi_rows rgi_rows_of(const rg_step *step, size_t values, size_t weight);
/* Tasks [lo, hi) as rows [*first, *end). */
void rgi_rows_range(const rgi_rows *r, size_t lo, size_t hi, size_t *first, size_t *end);
void rgi_rows_cost(const rgi_rows *r, double flops_of_element, rg_cost *cost);

/* The label of a row, or -1 where it is ignored. Outside [0, classes): an error that names label and row. */
rg_status rgi_row_label(const rg_step *step, const rgi_rows *r, size_t row, int64_t *label);
/* Weight of class c in a row. */
double rgi_row_weight(const rgi_rows *r, size_t row, size_t c);
/* Sum of the weights of a row over all classes. */
double rgi_row_weights(const rgi_rows *r, size_t row);

/* The weights for a batch rule: `in` of the original rank, or with the leading axis that all other inputs have. */
rg_node *rgi_label_batch_weight(rg_node *weight, bool batched, rg_node *labels);

/* rg_op.reads: input 0 row by row, all of the others. */
void rgi_label_reads(const rg_step *step, size_t i, int32_t from[]);

/* Weight of each row, 0 where it is ignored: (1 - smoothing) w[label] + smoothing mean(w). Zero gradient. */
rg_node *rgi_label_weight(rg_node *like, rg_node *labels, rg_node *weight, const rgi_label_attr *attr);

#endif
