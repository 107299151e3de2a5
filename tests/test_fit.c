/* test_fit.c - the training loop: what it visits, when it stops, what it writes and what it refuses. */
#include "files.h"
#include "fit_task.h"
#include "must.h"

#include <stdlib.h>

/* ---- what is visited ---- */

struct visits {
    int count[8][N];
    int64_t batches, smallest;
    bool sorted;
};

static void count_visits(void *user, int64_t epoch, const int64_t *examples, int64_t n, void *const *data)
{
    struct visits *v = user;
    v->batches++;
    v->smallest = n < v->smallest ? n : v->smallest;
    for (int64_t i = 0; i < n; i++) {
        v->count[epoch][examples[i]]++;
        v->sorted = v->sorted && examples[i] == (v->batches - 1) % BATCHES * BATCH + i;
    }
    ((float *)data[1])[0] += 0; /* in place */
}

Test(fit, every_example_once_an_epoch)
{
    for (int in_order = 0; in_order < 2; in_order++)
        for (int prefetch = 0; prefetch < 2; prefetch++) {
            struct task t;
            struct visits v = {.smallest = BATCH, .sorted = true};
            task_new(&t);
            t.opts.plan = &one_thread;
            t.opts.in_order = in_order;
            t.opts.no_prefetch = !prefetch;
            t.opts.prepare = count_visits;
            t.opts.user = &v;
            must(rg_fit(&t.opts, NULL));
            cr_assert_eq(v.batches, 4 * BATCHES);
            cr_assert_eq(v.smallest, N % BATCH);
            cr_assert_eq(v.sorted, in_order);
            for (int e = 0; e < 4; e++)
                for (int i = 0; i < N; i++)
                    cr_assert_eq(v.count[e][i], 1, "epoch %d, example %d", e, i);
            task_free(&t);
        }
}

Test(fit, learns_and_reports_means_over_examples)
{
    struct task t;
    rg_fit_report report;
    rg_fit_state state;
    task_new(&t);
    t.opts.plan = &one_thread;
    t.opts.valid = t.opts.train;
    t.opts.valid_batch = 7;
    t.opts.epochs = 60;
    must(rg_fit(&t.opts, &report));
    cr_assert(report.last.epoch == 59 && report.last.batch == BATCHES && report.last.validated);
    cr_assert(report.last.valid_loss < 0.01, "%g", report.last.valid_loss);
    cr_assert(report.best <= report.last.valid_loss && report.best_epoch >= 0 && !report.resumed && !report.stopped);
    must(rg_evaluate(&t.opts, &state)); /* batches of 7 and one of 5 */
    cr_assert_float_eq(state.valid_loss, report.last.valid_loss, 1e-9);
    t.opts.valid_batch = N;
    must(rg_evaluate(&t.opts, &state)); /* all at once */
    cr_assert_float_eq(state.valid_loss, report.last.valid_loss, 1e-7);
    task_free(&t);
}

static uint64_t train_so(bool prefetch, int threads, uint64_t seed)
{
    struct task t;
    task_new(&t);
    t.opts.plan = &(rg_plan_opts){.threads = threads};
    t.opts.no_prefetch = !prefetch;
    t.opts.seed = seed;
    must(rg_fit(&t.opts, NULL));
    const uint64_t sum = digest(t.g);
    task_free(&t);
    return sum;
}

Test(fit, threads_change_nothing_and_the_seed_does)
{
    const uint64_t one = train_so(false, 1, 0);
    cr_assert_eq(train_so(true, 1, 0), one);
    cr_assert_eq(train_so(true, 2, 0), one);
    cr_assert_neq(train_so(true, 1, 1), one);
}

/* Sequences lie [time, example, features]. */
static void look_at_sequences(void *user, int64_t epoch, const int64_t *examples, int64_t n, void *const *data)
{
    const float *x = data[0];
    (void)epoch;
    for (int64_t time = 0; time < 3; time++)
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < 2; k++)
                cr_assert_eq(x[(time * n + i) * 2 + k], (float)(100 * time + 10 * examples[i] + k));
    ++*(int *)user;
}

Test(fit, sequences_lie_along_the_second_axis)
{
    rg_graph *g = rg_graph_new(NULL);
    rg_tensor x;
    int batches = 0;
    must(rg_tensor_alloc(&x, RG_F32, RG_SHAPE(3, 7, 2)));
    for (int i = 0; i < 42; i++)
        ((float *)x.data)[i] = (float)(100 * (i / 14) + 10 * (i / 2 % 7) + i % 2);
    rg_node *in = rg_input(g, "x", RG_F32, RG_SHAPE(3, rg_dim(g, "batch"), 2));
    rg_node *w = rg_param(g, "w", RG_F32, RG_SHAPE(2), NULL);
    rg_node *loss = rg_mean(rg_mul(in, w), RG_ALL_AXES, false);
    const rg_column column = {in, &x, 1};
    must(rg_fit(&(rg_fit_opts){.loss = loss,
                               .step = rg_sgd(loss, &(rg_sgd_opts){.lr = 0.1}),
                               .train = {&column, 1},
                               .batch = 3,
                               .epochs = 2,
                               .prepare = look_at_sequences,
                               .user = &batches,
                               .no_prefetch = true},
                NULL));
    cr_assert_eq(batches, 6);
    rg_tensor_free(&x);
    rg_graph_free(g);
}

/* ---- when it stops ---- */

Test(fit, patience)
{
    begin();
    struct task t;
    rg_fit_report report;
    task_new(&t);
    t.opts.plan = &one_thread;
    t.opts.epochs = 50;
    t.opts.patience = 3;
    t.opts.min_delta = 1e9; /* nothing is ever better than the first */
    t.opts.best = path;
    must(rg_fit(&t.opts, &report));
    cr_assert(report.stopped_early && report.last.epoch == 3 && report.best_epoch == 0, "%d", (int)report.last.epoch);
    cr_assert_eq(files(false), 1, "the best weights");
    const uint64_t last = digest(t.g);
    must(rg_load(t.g, path, NULL));
    cr_assert_neq(digest(t.g), last, "the best are not the last");
    task_free(&t);
    end();
}

static bool stop_at_the_second_epoch(void *user, const rg_fit_state *s)
{
    ++*(int *)user;
    return s->epoch < 1;
}

Test(fit, callbacks_end_it)
{
    struct task t;
    rg_fit_report report;
    int calls = 0;
    task_new(&t);
    t.opts.plan = &one_thread;
    t.opts.on_epoch = stop_at_the_second_epoch;
    t.opts.user = &calls;
    must(rg_fit(&t.opts, &report));
    cr_assert(calls == 2 && report.stopped && report.last.epoch == 1);
    task_free(&t);
}

/* ---- what it writes ---- */

static size_t read_text(const char *file, char *text, size_t size)
{
    FILE *f = fopen(file, "rb");
    cr_assert(f, "%s", file);
    const size_t n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    fclose(f);
    return n;
}

Test(fit, lines_table_and_curves)
{
    begin();
    static char text[1 << 16];
    char csv[160], svg[160], other[170];
    struct task t;
    task_new(&t);
    set_files(&t, csv);
    snprintf(svg, sizeof svg, "%s.svg", path);
    t.opts.svg = svg;
    t.opts.progress = tmpfile();
    snprintf(other, sizeof other, "%s.new", csv);
    FILE *f = fopen(other, "w");
    cr_assert(f && fputs("mine", f) >= 0 && fclose(f) == 0);
    must(rg_fit(&t.opts, NULL));
    read_text(other, text, sizeof text);
    cr_assert_str_eq(text, "mine", "files of others stay as they are");
    remove(other);
    rewind(t.opts.progress);
    int lines = 0;
    while (fgets(text, sizeof text, t.opts.progress)) {
        lines++;
        cr_assert(strstr(text, "/4  loss ") && strstr(text, "  rate ") && strstr(text, "  valid loss ") &&
                      strstr(text, "/s\n") && !strchr(text, '\r'),
                  "'%s'", text);
    }
    cr_assert_eq(lines, 4, "on a file each epoch is a line");
    fclose(t.opts.progress);
    read_text(csv, text, sizeof text);
    static const char titles[] = "\"epoch\",\"seconds\",\"loss\",\"rate\",\"valid loss\",\"valid rate\"\n1,";
    cr_assert(strncmp(text, titles, sizeof titles - 1) == 0, "%s", text);
    rg_tensor table;
    must(rg_read_csv(csv, &(rg_csv_opts){.skip_lines = 1}, &table));
    cr_assert(rg_shape_equal(table.shape, RG_SHAPE(4, 6)));
    rg_tensor_free(&table);
    read_text(svg, text, sizeof text);
    cr_assert(strstr(text, "<svg") && strstr(text, ">loss<") && strstr(text, ">rate<") && strstr(text, "validation") &&
              strstr(text, "</svg>"));
    cr_assert(!strstr(text, "nan") && !strstr(text, "inf"));
    task_free(&t);
    end();
}

Test(fit, curves_of_odd_numbers)
{
    begin();
    static char text[1 << 16];
    const double x[] = {1, 2, 3}, gap[] = {1, NAN, 3}, flat[] = {5, 5, 5}, wide[] = {-1e300, 0, 1e300},
                 none[] = {NAN, NAN, NAN};
    const rg_curve curves[] = {{"a<b&c", gap}, {"flat", flat}, {"wide", wide}, {"none", none}, {"valid flat", flat}};
    must(rg_write_curves(path, "1 < 2", x, 3, curves, 5));
    read_text(path, text, sizeof text);
    cr_assert(strstr(text, "a&lt;b&amp;c") && strstr(text, "1 &lt; 2"));
    cr_assert(!strstr(text, "nan") && !strstr(text, "inf"), "%s", text);
    must(rg_write_curves(path, NULL, NULL, 0, curves, 0));
    cr_assert_eq(rg_write_curves(NULL, NULL, NULL, 0, NULL, 0), RG_ERR_ARGUMENT);
    cr_assert_eq(rg_write_curves(directory, NULL, x, 3, curves, 1), RG_ERR_IO);
    end();
}

/* ---- what is refused ---- */

static rg_node *without_end(rg_node *x)
{
    rg_scan *s = rg_while_begin(rg_graph_of(x), &(rg_while_opts){.max_iter = 3});
    rg_node *h = rg_scan_carry(s, x), *next = rg_add_scalar(h, 1);
    rg_while_test(s, rg_greater(next, h));
    rg_scan_next(s, h, next);
    rg_node *last = rg_scan_last(s, h);
    rg_scan_end(s);
    return last;
}

static rg_status refuses(const rg_step *s, size_t lo, size_t hi)
{
    (void)lo, (void)hi;
    return rg_step_fail(s, RG_ERR_STATE, "the book is not bound");
}

Test(fit, errors)
{
    static const rg_op binder = {.name = "binder", .n_in = 1, .n_out = 1, .infer = rg_infer_same, .run = refuses};
    struct task t;
    rg_fit_report report;
    task_new(&t);
    const rg_fit_opts good = t.opts;
    rg_tensor few = t.y, other = t.y;
    few.shape.dim[0] = N - 1;
    other.dtype = RG_I32;
    const rg_column shorter[] = {t.columns[0], {t.columns[1].input, &few, 0}};
    const rg_column typed[] = {t.columns[0], {t.columns[1].input, &other, 0}};
    const rg_column beyond[] = {{t.columns[0].input, &t.x, 2}};
    const rg_column half[] = {t.columns[0]};
    struct {
        rg_status status;
        const char *message;
        rg_fit_opts opts;
    } rows[] = {
        {RG_ERR_ARGUMENT, "loss is NULL", good},
        {RG_ERR_ARGUMENT, "step is NULL", good},
        {RG_ERR_ARGUMENT, "negative", good},
        {RG_ERR_SHAPE, "'y' has 102 examples|have 103", good},
        {RG_ERR_DTYPE, "'y'|i32|f32", good},
        {RG_ERR_SHAPE, "axis 2", good},
        {RG_ERR_ARGUMENT, "0 columns", good},
        {RG_ERR_ARGUMENT, "watch_metric is 2", good},
        {RG_ERR_STATE, "rg_fit: train: epoch 1, batch 1|input 'y'|is not bound|column", good},
        {RG_ERR_SHAPE, "loss is no", good},
        {RG_ERR_IO, "there", good},
    };
    rows[0].opts.loss = NULL;
    rows[1].opts.step = NULL;
    rows[2].opts.epochs = -1;
    rows[3].opts.train.at = shorter;
    rows[4].opts.train.at = typed;
    rows[5].opts.train = (rg_dataset){beyond, 1};
    rows[6].opts.train.n = 0;
    rows[7].opts.watch_metric = 2;
    rows[8].opts.train = (rg_dataset){half, 1};
    rows[9].opts.loss = t.columns[0].input;
    rows[10].opts.checkpoint = "/dev/null/there";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        rows[i].opts.plan = &one_thread;
        cr_assert_eq(rg_fit(&rows[i].opts, &report), rows[i].status, "row %zu: %s", i, rg_last_error());
        cr_assert(says(rows[i].message), "'%s' lacks '%s'", rg_last_error(), rows[i].message);
    }
    cr_assert_eq(rg_fit(NULL, NULL), RG_ERR_ARGUMENT);
    rg_fit_state state;
    rows[3].opts.valid = rows[3].opts.train;
    cr_assert_eq(rg_evaluate(&rows[3].opts, &state), RG_ERR_SHAPE);
    cr_assert(says("rg_evaluate|'y' has 102 examples"), "%s", rg_last_error());
    rows[8].opts.valid = rows[8].opts.train;
    cr_assert_eq(rg_evaluate(&rows[8].opts, &state), RG_ERR_STATE);
    cr_assert(says("rg_evaluate: valid: batch 1|input 'y'"), "%s", rg_last_error());
    rg_node *endless = t.opts.loss; /* a loop that does not end is a wrong state as well, of no column */
    t.opts.loss = without_end(endless);
    cr_assert_eq(rg_fit(&t.opts, NULL), RG_ERR_STATE);
    cr_assert(says("goes on after max_iter") && !says("column"), "%s", rg_last_error());
    t.opts.loss = rg_apply(&binder, RG_NODES(endless), NULL); /* and so is whatever an op says with these words */
    cr_assert_eq(rg_fit(&t.opts, NULL), RG_ERR_STATE);
    cr_assert(says("the book is not bound") && !says("column"), "%s", rg_last_error());
    t.opts.loss = endless;
    t.opts.plan = &one_thread;
    ((float *)t.y.data)[50] = INFINITY;
    cr_assert_eq(rg_fit(&t.opts, NULL), RG_ERR_NUMERIC);
    cr_assert(says("epoch 1, batch|loss is inf"), "%s", rg_last_error());
    task_free(&t);
}

/* Files that cannot be written are refused while there is nothing to lose; of those that can nothing is left. */
Test(fit, files_that_cannot_be_written)
{
    struct task t;
    task_new(&t);
    begin();
    t.opts.plan = &one_thread;
    const rg_fit_opts good = t.opts;
    const uint64_t before = digest(t.g);
    const char *const bad[] = {directory, "/dev/null/there"};
    for (size_t i = 0; i < 8; i++) {
        rg_fit_report report;
        rg_fit_opts o = good;
        const char **const named[] = {&o.csv, &o.svg, &o.best, &o.checkpoint};
        o.csv = path;
        *named[i / 2] = bad[i % 2];
        cr_assert_eq(rg_fit(&o, &report), RG_ERR_IO, "%zu: %s", i, rg_last_error());
        cr_assert(says("rg_fit") && says(bad[i % 2]), "%zu: %s", i, rg_last_error());
        cr_assert_eq(report.last.batch, 0);
        cr_assert_eq(digest(t.g), before, "%zu: it has trained", i);
        cr_assert_eq(files(false), 0, "%zu: a file is left", i);
    }
    task_free(&t);
    end();
}
