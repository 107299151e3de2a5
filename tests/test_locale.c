/* test_locale.c - a host whose locale writes numbers with a comma: what is written for programs to read is the same. */
#define _DEFAULT_SOURCE

#include "must.h"

#include "files.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

/* Between begin() and end(): numbers are written with a comma, if such a locale can be made here. */
static bool write_commas(void)
{
    char command[300], number[16];
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 --no-archive %s/de_DE.UTF-8 >%s 2>&1", directory,
             path);
    if (system(command) != 0 || setenv("LOCPATH", directory, 1) || !setlocale(LC_ALL, "de_DE.UTF-8"))
        return false;
    snprintf(number, sizeof number, "%.1f", 0.5);
    return strcmp(number, "0,5") == 0;
}

static void write_points(void)
{
    char command[160];
    cr_assert(setlocale(LC_ALL, "C"));
    snprintf(command, sizeof command, "rm -r %s/de_DE.UTF-8", directory);
    (void)!system(command);
}

enum { KINDS = 4 };

/* What a plan says of itself, but for times. */
static char *text_of(rg_plan *p, int kind)
{
    char *text = kind == 0   ? rg_plan_dump(p)
                 : kind == 1 ? rg_plan_dot(p)
                 : kind == 2 ? rg_plan_memory_map(p)
                             : rg_plan_trace(p);
    cr_assert(text, "%s", rg_last_error());
    return text;
}

/* Whether each number behind the key has a point. */
static void expect_points(const char *json, const char *key)
{
    size_t n = 0;
    for (const char *at = json; (at = strstr(at, key)); n++) {
        at += strlen(key);
        const size_t digits = strspn(at, "0123456789");
        cr_assert(digits && (at[digits] == '.' || strncmp(at, "0, \"dur\"", 8) == 0), "%.40s", at - strlen(key));
    }
    cr_expect(n > 3, "%zu", n);
}

Test(locale, plans_say_the_same_of_themselves)
{
    begin();
    rg_graph *g = rg_graph_new(NULL);
    rg_node *x = rg_param(g, "x", RG_F32, RG_SHAPE(300, 70), NULL), *y = rg_matmul(x, rg_transpose(x, RG_AXES(1, 0)));
    rg_plan *p = must_compile(
        g, RG_NODES(rg_softmax(rg_scale(rg_tanh(y), 0.3), 1), rg_sum(rg_cumsum(y, 0, false), RG_AXES(0), false)),
        &(rg_plan_opts){.threads = 1, .profile = true});
    must(rg_run(p));
    char *before[KINDS], *nodes = rg_graph_dump(g);
    for (int k = 0; k < KINDS; k++)
        before[k] = text_of(p, k);
    const bool commas = write_commas();
    for (int k = 0; commas && k < KINDS; k++) {
        char *text = text_of(p, k);
        cr_expect_str_eq(text, before[k]);
        rg_text_free(text);
    }
    char *again = rg_graph_dump(g);
    cr_expect_str_eq(again, nodes);
    rg_text_free(again);
    rg_text_free(nodes);
    expect_points(before[3], "\"ts\": ");
    expect_points(before[3], "\"dur\": ");
    for (int k = 0; k < KINDS; k++)
        rg_text_free(before[k]);
    rg_plan_free(p);
    rg_graph_free(g);
    write_points();
    end();
    if (!commas)
        cr_skip_test("no locale with a comma can be made here");
}

static size_t written(char *to, size_t size)
{
    static const double x[] = {1, 2, 3}, y[] = {0.25, -1.5, 7.125};
    must(rg_write_curves(path, "0.5", x, 3, &(rg_curve){"loss", y}, 1));
    const size_t n = read_bytes((unsigned char *)to, size - 1);
    to[n] = '\0';
    return n;
}

Test(locale, tables_and_curves_have_points)
{
    static char before[1 << 16], after[1 << 16];
    begin();
    written(before, sizeof before);
    const bool commas = write_commas();
    written(after, sizeof after);
    cr_expect_str_eq(after, before);
    write_bytes("1.5,2\n-0.25,4e1\n", 16);
    rg_tensor table;
    must(rg_read_csv(path, NULL, &table));
    cr_assert(rg_shape_equal(table.shape, RG_SHAPE(2, 2)));
    cr_expect_eq(((const float *)table.data)[0], 1.5F);
    cr_expect_eq(((const float *)table.data)[2], -0.25F);
    rg_tensor_free(&table);
    write_points();
    end();
    if (!commas)
        cr_skip_test("no locale with a comma can be made here");
}
