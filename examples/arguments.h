/* arguments.h - the command line of a program: a table of options, --help, and what is wrong with what was given. */
#ifndef EXAMPLES_ARGUMENTS_H
#define EXAMPLES_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

/* An option that takes a number or a text, or none; or, without a name, a word that stands alone. What the variables hold
   before counts as the default. */
typedef struct argument {
    const char *name;  /* "--steps"; NULL: a word that stands alone */
    const char *value; /* what the help calls its value: "N", "FILE" */
    const char *what;  /* a line of help */
    bool *flag;        /* one of these four */
    const char **text;
    double *real; /* above 0 */
    int *number, least, most;
    bool needed; /* nothing can be done without it */
} argument;

typedef struct command {
    const char *program, *what; /* its name; what it does, in lines of at most 100 columns */
    const argument *at;
    size_t n;
} command;

#define ARGUMENTS(...) (const argument[]){__VA_ARGS__}, sizeof((const argument[]){__VA_ARGS__}) / sizeof(argument)
/* An option that most have. */
#define THREADS_ARGUMENT(variable) \
    {.name = "--threads", .value = "N", .what = "threads of a run (what OpenMP chooses)", .number = variable, .least = 1, .most = 1024}

/* Fills in what the command line says. -1: go on. Otherwise the program has told what there is to tell and ends with this
   exit code: 0 after --help, 2 after something unknown, wrong or missing. */
int arguments_read(const command *c, int argc, char **argv);

#endif
