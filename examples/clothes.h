/* clothes.h - what the examples on pictures share: their options, and Fashion-MNIST (Xiao et al. 2017) or pictures made up. */
#ifndef EXAMPLES_CLOTHES_H
#define EXAMPLES_CLOTHES_H

#include <retrograde/retrograde.h>

enum { CLOTHES_SIDE = 28, CLOTHES_PIXELS = CLOTHES_SIDE * CLOTHES_SIDE, CLOTHES_CLASSES = 10 };

/* Pixels u8 [n, 784] and labels u8 [n]. */
struct clothes {
    rg_tensor train, train_labels, test, test_labels;
    const char *const *names; /* of the classes */
};

/* "program [--epochs N] [--threads N] [--quick] [DIR]" */
struct clothes_options {
    const char *program, *what, *directory;
    int epochs, quick_epochs, threads;
    bool quick;      /* pictures made up here, some seconds of work */
    bool shortened;  /* fewer epochs than the program's own, so that it need not learn what it is stated to */
    bool time;       /* with --time, which is there if ... */
    const char *how; /* ... this tells what it does */
};

/* -1: go on; otherwise the exit code. */
int clothes_parse(struct clothes_options *o, int argc, char **argv);
/* The data; with --quick, n pictures of bars whose direction is the class. False after it has told what is wrong. */
bool clothes_load(struct clothes *f, const struct clothes_options *o, int64_t n);
void clothes_free(struct clothes *f);

#endif
