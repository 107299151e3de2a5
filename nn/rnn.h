/* rnn.h - what a recurrent cell gives to the driver that makes its parameters, layers and directions. */
#ifndef RETROGRADE_NN_RNN_H
#define RETROGRADE_NN_RNN_H

#include <retrograde/graph.h>
#include <retrograde/nn.h>
#include <retrograde/op.h>
#include <retrograde/ops.h>

/* Most states that a cell carries. */
#define RGI_CELL_STATES 2

/* One step of one direction of one layer: nodes of the scan's body, and parameters outside of it. */
typedef struct rgi_cell_step {
    rg_node *x;                      /* [B, in] */
    rg_node *state[RGI_CELL_STATES]; /* [B, H]; h is [B, P] where there is a projection */
    rg_node *next[RGI_CELL_STATES];  /* the cell's answer */
    rg_node *weight_ih, *bias_ih;    /* [gates H, in], [gates H] or NULL */
    rg_node *weight_hh, *bias_hh;    /* [gates H, H or P], [gates H] or NULL */
    rg_node *weight_ch;              /* peepholes [3 H] */
    rg_node *weight_hr;              /* projection [P, H] or NULL */
    rg_node *weight_mix, *bias_mix;  /* [2 H, H], [2 H] or NULL */
    int64_t width;                   /* H */
} rgi_cell_step;

typedef struct rgi_cell {
    const char *name; /* of the function, for errors */
    int gates;        /* blocks of H rows in weight_ih and weight_hh */
    int states;
    bool peepholes, mixes, projects;    /* has weight_ch; has weight_mix; may have weight_hr */
    rg_node *(*step)(rgi_cell_step *s); /* sets next, returns the output [B, H or P] */
} rgi_cell;

rg_node *rgi_rnn(const rgi_cell *cell, rg_node *xs, const char *name, int64_t hidden, const rg_rnn_opts *opts);

/* Block `first` to before `end` of z [B, gates H]. */
rg_node *rgi_gates(const rgi_cell_step *s, rg_node *z, int first, int end);
/* Rows of the blocks `first` to before `end` of a weight or bias; NULL stays NULL. */
rg_node *rgi_gate_rows(const rgi_cell_step *s, rg_node *w, int first, int end);
/* W x + b + U h + b2: what most gates see, [B, gates H]. */
rg_node *rgi_preactivation(const rgi_cell_step *s);

#endif
