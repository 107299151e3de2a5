/* refused.h - bad input: no node, the status, all the words, the place of the call; and the graph is usable
   afterwards. */
#ifndef RETROGRADE_TESTS_REFUSED_H
#define RETROGRADE_TESTS_REFUSED_H

#include "must.h"

#include <stdio.h>
#include <stdlib.h>

/* Whether a message names a line of the file from `first` to `last`. */
static inline bool names_line(const char *text, const char *path, long first, long last)
{
    char file[64];
    const char *slash = strrchr(path, '/');
    const int n = snprintf(file, sizeof file, "%s:", slash ? slash + 1 : path);
    for (const char *at = strstr(text, file); at; at = strstr(at + 1, file)) {
        const long line = strtol(at + n, NULL, 10);
        if (first <= line && line <= last)
            return true;
    }
    return false;
}

/* The graph refused to build: no node, the status, all the words, and the caller's line: the last one of the statement
   or one before, for compilers differ in the __LINE__ of a macro's arguments that take several. */
static inline void refused_at(rg_graph *g, bool built, rg_status status, const char *file, int line,
                              const char *const words[])
{
    const char *text = rg_graph_error(g);
    cr_expect(!built, "line %d: a node was built", line);
    cr_assert(text, "line %d: no error is set", line);
    cr_expect_eq(rg_graph_status(g), status, "line %d: status %s: %s", line, rg_status_name(rg_graph_status(g)), text);
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(text, words[i]), "line %d: \"%s\" is missing in: %s", line, words[i], text);
    cr_expect(names_line(text, file, line - 2, line), "line %d: the location is missing in: %s", line, text);
    rg_graph_clear_error(g);
    cr_expect_null(rg_graph_error(g));
}

/* Of the graph `g`: an expression that gives a pointer, a list, or nothing. */
#define REFUSED(status, expression, ...) \
    refused_at(g, (expression) != NULL, status, __FILE__, __LINE__, (const char *const[]){__VA_ARGS__, NULL})
#define REFUSED_LIST(status, expression, ...) \
    refused_at(g, (expression).n != 0, status, __FILE__, __LINE__, (const char *const[]){__VA_ARGS__, NULL})
#define REFUSED_CALL(status, call, ...) \
    (call, refused_at(g, false, status, __FILE__, __LINE__, (const char *const[]){__VA_ARGS__, NULL}))

/* A function that returns a status and sets the thread's last error. */
static inline void failed_at(rg_status got, rg_status status, int line, const char *const words[])
{
    cr_expect_eq(got, status, "line %d: status %s: %s", line, rg_status_name(got), rg_last_error());
    for (size_t i = 0; words[i]; i++)
        cr_expect(strstr(rg_last_error(), words[i]), "line %d: \"%s\" is missing in: %s", line, words[i],
                  rg_last_error());
}

#define FAILED(status, expression, ...) \
    failed_at(expression, status, __LINE__, (const char *const[]){__VA_ARGS__, NULL})

#endif
