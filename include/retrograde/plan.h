/* plan.h - compile what is to be computed, bind data, run, read results. */
#ifndef RETROGRADE_PLAN_H
#define RETROGRADE_PLAN_H

#include <retrograde/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rg_mode { RG_TRAIN = 1, RG_EVAL } rg_mode;

/* What a plan takes the machine for when it decides which work is shared out among threads. It changes how long a run
   takes, never a bit of a result. */
typedef struct rg_machine {
    double flop_ns,
        byte_ns;       /* nanoseconds of one thread for a floating-point operation, and for a byte read or written */
    double meeting_ns; /* for the threads to meet */
    double share_ns;   /* from which a step is shared out at all */
} rg_machine;

/* Measures this machine for plans of so many threads (0: the OpenMP default), in some milliseconds: figures for
   rg_plan_opts.machine, to be kept and used for every plan. They are noisy where others work on the machine.
   Thread-safe. */
RG_API RG_CHECKED rg_status rg_machine_measure(int threads, rg_machine *out);

/* How images lie in memory between the steps of a plan. What is bound, fetched or a parameter is planes, [N, C, H, W],
   always; results are the same to the last bit. */
typedef enum rg_layout {
    RG_LAYOUT_CHOSEN, /* the channels of a pixel together, in blocks, where that saves more than turning costs */
    RG_LAYOUT_PLANES,
    RG_LAYOUT_BLOCKS /* in blocks wherever convolutions can write them */
} rg_layout;

typedef struct rg_plan_opts {
    /* 0: the OpenMP default. As many at most: what is too little to share, one thread does. Where no machine is given,
       a plan for sizes that take less than about a third of a millisecond tries which is faster, one thread or all, in
       five runs of each, and again after 64 to 8192 runs; sizes that are new try together with others of as much
       work. */
    int threads;
    rg_mode mode;  /* 0: training if an effect is fetched; otherwise required where a fetched node depends on it */
    bool no_fuse;  /* run elementwise ops one by one; results are the same to the last bit */
    bool snapshot; /* work on a private copy of parameters and buffers */
    /* After each op, look for NaN and infinity: rg_run then fails, naming the first node that makes one, its place in
       the program, the element and what the inputs hold. One thread, nothing fused. */
    bool check;
    bool profile; /* note when each thread works on which step: rg_plan_profile, rg_plan_trace */
    /* Most bytes that rg_plan_bytes may come to, 0: any number. What is as long as a recurrence is made for some steps
       at a time, and values are made again where they are needed late, until it fits; the results are the same to the
       last bit. If nothing does, fewer threads share the work, half as often as it takes, down to one; if one thread
       does not fit either, rg_run and rg_plan_prepare fail with RG_ERR_MEMORY and say the least that would do. */
    size_t budget;
    /* Identities that hold to the last bit (x * 1 is x, a transposed operand is read as it lies) replace nodes by what
       costs less. Bit i: not the one of rg_rewrite_name(i); ~0: none. */
    uint64_t without_rewrites;
    /* Replace nothing, but compute both: rg_run fails with RG_ERR_NUMERIC at the first node that comes out otherwise,
       naming the identity, the node and the element. What constants make, which is known when compiling, is computed
       by the plan's steps as well and compared with that ("folding"). */
    bool check_rewrites;
    /* Keep every value until it is read last. Otherwise those of cheap elementwise ops that are read long after (1 - z
       of a gate in the reverse of a recurrence, a mask) are made again, in the same pass, by those who read them, where
       what they are made from is there anyway: the results are the same to the last bit. rg_plan_dump names them. */
    bool no_repeats;
    rg_layout layout;          /* 0: the plan chooses; with `check`, planes */
    const rg_machine *machine; /* copied; NULL: figures of an x86 core of 2024, see rg_machine_measure */
} rg_plan_opts;

/* The i-th identity that rg_compile uses, NULL behind the last. rg_plan_dump says which held how often. */
RG_API const char *rg_rewrite_name(size_t i);

/* Compiles `fetch` into a plan, or returns NULL with rg_graph_error set: to the first error of building, where there
   was one; RG_ERR_ARGUMENT for an empty list, a NULL or a node of another graph in it, a mode or layout that is none, a
   mode that is needed, a negative number of threads; RG_ERR_REGION for a scan not ended or a node of its body;
   RG_ERR_STATE for two assigns to one parameter of which neither is built on the other (rg_latest); RG_ERR_MEMORY.
   The caller frees the plan. It keeps its graph and parameters alive. A plan is used by one thread at a time. A plan
   with effects needs the parameters to itself while it runs. */
RG_API rg_plan *rg_compile(rg_graph *g, rg_nodes fetch, const rg_plan_opts *opts);
RG_API void rg_plan_free(rg_plan *p); /* NULL is fine */

/* Says where an input's values are: row-major, of the input's dtype, borrowed until bound again, read at every run;
   nothing is copied. NULL: not bound any more. An input that nothing fetched depends on may be bound too. Errors:
   RG_ERR_ARGUMENT for a node that is no input of this plan's graph and for data inside the plan's own memory,
   RG_ERR_SHAPE for named sizes that were never given (rg_bind_shape). */
RG_API RG_CHECKED rg_status rg_bind(rg_plan *p, rg_node *input, const void *data);
/* The same with sizes for the input's named dimensions. Whether a name has one size in all inputs is checked by rg_run.
   Errors: RG_ERR_SHAPE for another number of axes or another size of an axis that is not named. */
RG_API RG_CHECKED rg_status rg_bind_shape(rg_plan *p, rg_node *input, const void *data, rg_shape shape);
/* The same, dtype checked too: RG_ERR_DTYPE. */
RG_API RG_CHECKED rg_status rg_bind_tensor(rg_plan *p, rg_node *input, const rg_tensor *tensor);
/* The first input that rg_run would miss, or NULL if all that it reads is bound. The input is the graph's. */
RG_API rg_node *rg_plan_unbound(const rg_plan *p);
/* A fetched node's values are copied to `data` at the end of each run. NULL unbinds. Errors: RG_ERR_ARGUMENT for a node
   that was not fetched or has no values. */
RG_API RG_CHECKED rg_status rg_bind_out(rg_plan *p, rg_node *fetched, void *data);

/* Plans for the sizes bound now, so that the next rg_run allocates nothing. */
RG_API RG_CHECKED rg_status rg_plan_prepare(rg_plan *p);
/* Computes everything fetched. Allocates nothing when the sizes have been seen before. After a failure the plan
   is usable, and no parameter has been half written; rg_last_error names the node and where it was built. Errors:
   RG_ERR_STATE for an input that is not bound and for a loop beyond its max_iter, RG_ERR_SHAPE for sizes that do not
   agree, RG_ERR_ARGUMENT for an index, a label or a length out of its range, RG_ERR_NUMERIC from a plan that checks,
   RG_ERR_MEMORY, and what an op of your own returns. NaN and infinity are values like others. */
RG_API RG_CHECKED rg_status rg_run(rg_plan *p);

/* Values of a fetched node after a run: row-major, valid until the next run, bind or free of the plan. NULL, with
   rg_last_error, if the node was not fetched or nothing ran yet. A fetched parameter is its value before the run. */
RG_API const void *rg_data(rg_plan *p, rg_node *fetched);
/* The same with dtype and actual shape. */
RG_API RG_CHECKED rg_status rg_result(rg_plan *p, rg_node *fetched, rg_tensor *out);

/* The plan's working memory is `bytes` bytes at `at`, aligned to 64, which the caller keeps until the plan is freed or
   is given other memory; NULL: the plan allocates for itself again. Results of earlier runs are gone. Errors: `at` is
   not aligned; later rg_run and rg_plan_prepare fail with RG_ERR_MEMORY where the sizes bound need more, and say how
   much. */
RG_API RG_CHECKED rg_status rg_plan_memory(rg_plan *p, void *at, size_t bytes);
/* Bytes of the plan's working memory (0 while sizes are unknown), parameters not counted, but the copies of weights
   that a plan which does not change them packs for its products and keeps. A plan with a budget, or in lent memory,
   keeps none. */
RG_API size_t rg_plan_bytes(const rg_plan *p);
/* What the plan does, in order: steps, fused groups, sizes, offsets, who does it, floating-point operations and bytes
   read and written a time (as in rg_estimate), in columns that a line in front of them names, `|` where the threads
   meet; which loops go side by side, and which follows which. Images in blocks have five axes, [N, C / B, H, W, B], and
   are turned by transpositions. Release with rg_text_free. */
RG_API char *rg_plan_dump(rg_plan *p);
/* The same as a Graphviz digraph: a box a step, a frame around the ops of a fused group and the steps of a loop; edges
   are values with their types. Release with rg_text_free. */
RG_API char *rg_plan_dot(rg_plan *p);
/* The plan's memory as a picture (SVG): steps to the right, addresses upwards, a box for each value from where it is
   made to where it is read last. NULL with the error set while sizes are unknown. Release with rg_text_free. */
RG_API char *rg_plan_memory_map(rg_plan *p);

/* What the machine can do: arithmetic and memory, all threads together. */
typedef struct rg_roof {
    double gflops; /* 10^9 floating-point operations a second */
    double gbs;    /* 10^9 bytes a second */
} rg_roof;

/* What a run will cost, before any. */
typedef struct rg_estimate {
    size_t steps;   /* executed in a run, loops unrolled */
    double flops;   /* floating-point operations: those of products and the like exactly, 4 for an element of another */
    double bytes;   /* read and written by the steps, as if nothing stayed in cache */
    double seconds; /* the steps one after the other at the roof; 0 without a roof */
    size_t memory;  /* bytes of working memory: rg_plan_bytes */
    size_t values;  /* of them for values ... */
    size_t peak;    /* ... of which so many are alive at once: what no placement can do without */
    size_t parameters; /* bytes of the parameters and buffers that the plan touches, not part of `memory` */
} rg_estimate;

/* Fills in *out for the sizes bound. `roof` may be NULL. Errors: sizes that are not known yet. */
RG_API RG_CHECKED rg_status rg_plan_estimate(rg_plan *p, const rg_roof *roof, rg_estimate *out);
/* The last run of a plan with opts.profile as tables: time of all threads together, share, time that threads waited for
   each other in and before it, GFLOP/s, GB/s and percent of the roof (NULL: left out) of each op and each scope of
   names, slowest first; above them, how much of the run the threads worked and waited. NULL with the error set when
   there was no such run. Release with rg_text_free. */
RG_API char *rg_plan_profile(rg_plan *p, const rg_roof *roof);
/* The same run as JSON in the trace event format that Perfetto and Chrome's tracing page read: a lane a thread. */
RG_API char *rg_plan_trace(rg_plan *p);

/* A plan for another thread over the same program and parameters, with its own memory and bindings. A fork of a plan
   with effects gets private parameters. NULL when memory is short. */
RG_API rg_plan *rg_plan_fork(rg_plan *p);
/* Copies the shared parameters' present values into a snapshot's or fork's private ones. */
RG_API RG_CHECKED rg_status rg_plan_refresh(rg_plan *p);

#ifdef __cplusplus
}
#endif

#endif
