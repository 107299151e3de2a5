/* test_dump.c - text and DOT, and the memory of a graph: allocations that fail, owners, growth. */
#include "graph/graph.h"
#include "own_ops.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

/* ---- dumps ---- */

static rg_graph *small(const rg_allocator *allocator, int padding)
{
    rg_graph *g = rg_graph_new(&(rg_graph_opts){.allocator = allocator});
    if (!g)
        return NULL;
    for (int i = 0; i < padding; i++)
        rg_full(g, RG_F64, RG_SCALAR, i);
    rg_node *xs = rg_input(g, "xs", RG_F32, RG_SHAPE(rg_dim(g, "time"), rg_dim(g, "batch"), 4));
    rg_scope_push(g, "cell");
    rg_node *b = rg_param(g, "b", RG_F32, RG_SHAPE(4), NULL), *state = rg_buffer(g, "state", RG_F32, RG_SHAPE(4), NULL);
    rg_scan *s = rg_scan_begin(g, &(rg_scan_opts){.name = "rnn"});
    rg_node *x = rg_scan_slice(s, xs), *h = rg_scan_carry(s, rg_zeros(g, RG_F32, RG_SHAPE(rg_dim(g, "batch"), 4)));
    rg_node *next = floaty(sum2(sum2(x, b), h));
    rg_scan_next(s, h, next);
    rg_node *ys = rg_scan_stack(s, next);
    rg_scan_end(s);
    rg_scope_pop(g);
    rg_node *line = floaty(ys);
    rg_node *two = rg_apply(&two_op, RG_NODES(line), NULL);
    rg_node *assign = rg_assign(state, sum2(state, b));
    rg_attach(line, assign);
    rg_group(g, RG_NODES(assign, line));
    rg_const(g, RG_U8, RG_SHAPE(3), "abc");
    (void)rg_output(two, 1);
    (void)rg_value(b);
    (void)rg_params(g);
    return g;
}

Test(dumps, text)
{
    rg_graph *g = small(NULL, 0);
    cr_assert_null(rg_graph_error(g), "%s", rg_graph_error(g));
    char *text = rg_graph_dump(g);
    static const char want[] = "graph of 19 nodes, 2 of them stored\n"
                               "%0 = input : f32[time, batch, 4]  // xs\n"
                               "%1 = param : f32[4]  // cell.b\n"
                               "%2 = param : f32[4]  // cell.state\n"
                               "%4 = full {value: 0} : f32[batch, 4]  // cell\n"
                               "body of 'rnn' {\n"
                               "    %3 = scan_slice : f32[batch, 4]  // cell\n"
                               "    %5 = scan_carry : f32[batch, 4]  // cell\n"
                               "    %6 = sum2(%1, %3) : f32[batch, 4]  // cell\n"
                               "    %7 = sum2(%5, %6) : f32[batch, 4]  // cell\n"
                               "    %8 = floaty(%7) : f32[batch, 4]  // cell\n"
                               "}\n"
                               "%9 = scan(%0, %4, %1) of 'rnn'  // cell\n"
                               "%10 = result(%9) {stack of %8} : f32[time, batch, 4]  // cell\n"
                               "%11 = floaty(%10) : f32[time, batch, 4]\n"
                               "%12 = two(%11) : f32[time, batch, 4]\n"
                               "%13 = result(%12) {0} : f32[time, batch, 4]\n"
                               "%14 = result(%12) {1} : i64[time, batch, 4]\n"
                               "%15 = sum2(%1, %2) : f32[4]\n"
                               "%16 = assign(%2, %15) : f32[4]\n"
                               "%17 = group(%16, %11) : bool[]\n"
                               "%18 = const {values: 3 bytes} : u8[3]\n";
    cr_expect_str_eq(text, want);
    rg_graph_free(g);
    rg_text_free(text); /* outlives the graph */
    rg_text_free(NULL);
    cr_expect_null(rg_graph_dump(NULL));
    cr_expect_null(rg_graph_dot(NULL));
}

Test(dumps, dot)
{
    rg_graph *g = small(NULL, 0);
    rg_input(g, "quote \" and \\", RG_F32, RG_SCALAR);
    char *text = rg_graph_dot(g);
    cr_assert(text, "%s", rg_last_error());
    static const char *const parts[] = {
        "digraph retrograde {",
        "subgraph cluster_1 {",
        "label=\"rnn\"",
        "n0 [label=\"input xs\\nf32[time, batch, 4]\"",
        "n8 -> n5 [color=\"#4a78b0\", style=dashed",
        "n8 -> n10",
        "input quote \\\" and \\\\\\n",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect(strstr(text, parts[i]), "'%s' is not in\n%s", parts[i], text);
    rg_text_free(text);
    rg_graph_free(g);
}

/* ---- memory ---- */

typedef struct budget {
    size_t count, fail_at, live;
} budget;

static void *counted_alloc(void *user, size_t bytes)
{
    budget *const b = user;
    if (++b->count == b->fail_at)
        return NULL;
    b->live += bytes;
    return aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
}

static void counted_free(void *user, void *memory, size_t bytes)
{
    ((budget *)user)->live -= bytes;
    free(memory);
}

/* The k-th allocation fails, for every k and with the arena's chunks ending at different places: nothing is lost, the
   error says so, and the graph goes on. */
Test(memory, every_allocation_may_fail)
{
    bool failed_inside = false;
    for (int padding = 0; padding < 60; padding++)
        for (size_t k = 1;; k++) {
            budget b = {.fail_at = k};
            const rg_allocator allocator = {counted_alloc, counted_free, &b};
            rg_graph *g = small(&allocator, padding);
            char *text = g ? rg_graph_dump(g) : NULL, *dot = g ? rg_graph_dot(g) : NULL;
            const bool failed = b.count >= k;
            if (g && failed) {
                const char *error = rg_graph_error(g);
                failed_inside = failed_inside || error;
                cr_expect(error || !text || !dot || strstr(rg_last_error(), "memory"), "allocation %zu: no error", k);
                cr_expect(!error || rg_graph_status(g) == RG_ERR_MEMORY, "allocation %zu: %s", k, error);
                rg_graph_clear_error(g);
                while (g->open.n) { /* a body may have been left open */
                    rg_scan_end(((rgi_region *)g->open.at[g->open.n - 1])->scan);
                    rg_graph_clear_error(g);
                }
                rg_node *x = rg_input(g, "afterwards", RG_F32, RG_SHAPE(3));
                cr_expect(x && floaty(x), "allocation %zu: %s", k, rg_graph_error(g));
                expect_sound(g);
            }
            rg_text_free(text);
            rg_text_free(dot);
            rg_graph_free(g);
            cr_assert_eq(b.live, 0, "allocation %zu: %zu bytes are lost", k, b.live);
            if (!failed)
                break;
        }
    cr_expect(failed_inside);
}

Test(memory, a_graph_lives_as_long_as_its_owners)
{
    budget b = {0};
    const rg_allocator allocator = {counted_alloc, counted_free, &b};
    rg_graph *g = small(&allocator, 0);
    rgi_graph_retain(g);
    rg_graph_free(g);
    cr_expect(b.live > 0);
    expect_sound(g);
    rgi_graph_release(g);
    cr_expect_eq(b.live, 0);
}

Test(memory, many_nodes_take_linear_space)
{
    size_t total[2];
    for (int i = 0; i < 2; i++) {
        rg_graph *g = rg_graph_new(NULL);
        rg_node *x = rg_input(g, "x", RG_F32, RG_SHAPE(3)), *before = x;
        for (int k = 0; k < (i ? 200000 : 100000); k++) {
            rg_node *next = sum2(x, before);
            before = x;
            x = next;
        }
        cr_assert(x, "%s", rg_graph_error(g));
        total[i] = g->arena.total;
        expect_sound(g);
        rg_graph_free(g);
    }
    cr_expect(total[1] < 3 * total[0]);
    cr_expect(total[0] < 100000 * 250, "%zu bytes", total[0]);
}
