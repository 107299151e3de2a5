/* arguments.c - the command line of a program. */
#include "arguments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 100, LABEL = 64 };

/* "--steps N" */
static const char *label(const argument *a, char to[LABEL])
{
    snprintf(to, LABEL, "%s%s%s", a->name ? a->name : "", a->name && a->value ? " " : "", a->value ? a->value : "");
    return to;
}

/* "usage: program [--steps N] FILE", in as many lines as it takes. */
static void put_usage(const command *c, FILE *to)
{
    char text[LABEL];
    int column = fprintf(to, "usage: %s", c->program);
    for (size_t i = 0; i < c->n; i++) {
        const int length = (int)strlen(label(&c->at[i], text)) + 3;
        if (column + length > COLUMNS)
            column = fprintf(to, "\n%*s", 7 + (int)strlen(c->program), "") - 1;
        column += fprintf(to, c->at[i].needed ? " %s" : " [%s]", text);
    }
    fputc('\n', to);
}

static void put_help(const command *c)
{
    char text[LABEL];
    int width = (int)strlen("--help");
    for (size_t i = 0; i < c->n; i++) {
        const int length = (int)strlen(label(&c->at[i], text));
        width = length > width ? length : width;
    }
    put_usage(c, stdout);
    printf("%s\n\n", c->what);
    for (size_t i = 0; i < c->n; i++) {
        const argument *a = &c->at[i];
        printf("  %-*s  %s", width, label(a, text), a->what);
        if (a->number && *a->number)
            printf(" (%d)", *a->number);
        if (a->real && *a->real > 0)
            printf(" (%g)", *a->real);
        if (a->text && *a->text)
            printf(" (%s)", *a->text);
        putchar('\n');
    }
    printf("  %-*s  this text\n", width, "--help");
}

static int refuse(const command *c, const char *about, const char *why)
{
    fprintf(stderr, "%s: %s%s%s\n", c->program, about, *about ? " " : "", why);
    put_usage(c, stderr);
    return 2;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The option of that name; for a word without a dash, the first one without a name that has not been `taken`. */
static const argument *find(const command *c, const char *word, const bool *taken)
{
    for (size_t i = 0; i < c->n; i++) {
        const argument *a = &c->at[i];
        if (a->name ? strcmp(a->name, word) == 0 : word[0] != '-' && !taken[i])
            return a;
    }
    return NULL;
}

static int take_number(const command *c, const argument *a, const char *word)
{
    char *end = NULL, why[96];
    const double value = strtod(word, &end);
    const bool read = end != word && *end == '\0';
    if (a->real && read && value > 0 && value < HUGE_VAL)
        return *a->real = value, -1;
    if (a->real)
        return refuse(c, a->name, "takes a number above 0");
    if (read && value >= a->least && value <= a->most && value == floor(value))
        return *a->number = (int)value, -1;
    snprintf(why, sizeof why, "takes a whole number from %d to %d", a->least, a->most);
    return refuse(c, a->name, why);
}

int arguments_read(const command *c, int argc, char **argv)
{
    bool taken[32] = {false};
    for (int i = 1; i < argc; i++)
        if (is_help(argv[i])) {
            put_help(c);
            return 0;
        }
    for (int i = 1; i < argc; i++) {
        const argument *a = find(c, argv[i], taken);
        if (!a)
            return refuse(c, argv[i], "is no argument that it knows");
        taken[a - c->at] = true;
        if (a->flag) {
            *a->flag = true;
            continue;
        }
        if (a->name && i + 1 == argc)
            return refuse(c, a->name, "takes a value");
        const char *word = a->name ? argv[++i] : argv[i];
        if (a->text)
            *a->text = word;
        const int code = a->number || a->real ? take_number(c, a, word) : -1;
        if (code >= 0)
            return code;
    }
    for (size_t i = 0; i < c->n; i++)
        if (c->at[i].needed && !taken[i])
            return refuse(c, c->at[i].name ? c->at[i].name : c->at[i].value, "is missing");
    return -1;
}
