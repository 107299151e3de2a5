/* history.c - a table of the epochs, written as CSV, as curves, and bit for bit into the notes of checkpoints. */
#include "history.h"

#include "fault.h"
#include "sheet.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "fit 1";

void rgi_history_begin(rgi_history *h, const char *const *names, size_t n_metrics, bool validated)
{
    *h = (rgi_history){0};
    snprintf(h->names[h->columns++], sizeof h->names[0], "epoch");
    snprintf(h->names[h->columns++], sizeof h->names[0], "seconds");
    for (int v = 0; v <= validated; v++) {
        snprintf(h->names[h->columns++], sizeof h->names[0], "%sloss", v ? "valid " : "");
        for (size_t i = 0; i < n_metrics; i++)
            snprintf(h->names[h->columns++], sizeof h->names[0], "%s%.50s", v ? "valid " : "", names[i]);
    }
}

static rg_status grow(rgi_history *h)
{
    if (h->rows < h->capacity)
        return RG_OK;
    const size_t larger = 2 * h->capacity + 16;
    double *at = realloc(h->at, larger * h->columns * sizeof *at);
    if (!at)
        return rgi_fault(RG_ERR_MEMORY, "rg_fit: out of memory for the numbers of %zu epochs", larger);
    h->at = at;
    h->capacity = larger;
    return RG_OK;
}

rg_status rgi_history_add(rgi_history *h, const rg_fit_state *s, size_t n_metrics)
{
    const rg_status status = grow(h);
    if (status)
        return status;
    double *row = h->at + h->rows++ * h->columns;
    *row++ = (double)s->epoch + 1;
    *row++ = s->seconds;
    *row++ = s->loss;
    memcpy(row, s->metric, n_metrics * sizeof *row);
    row += n_metrics;
    if (h->columns > 3 + n_metrics) {
        *row++ = s->valid_loss;
        memcpy(row, s->valid_metric, n_metrics * sizeof *row);
    }
    return RG_OK;
}

rg_status rgi_history_write_csv(const rgi_history *h, const char *path)
{
    rgi_sheet s = {0};
    for (size_t c = 0; c < h->columns; c++) {
        rgi_sheet_put(&s, c ? ",\"" : "\"");
        for (const char *name = h->names[c]; *name; name++)
            rgi_sheet_put(&s, "%s%c", *name == '"' ? "\"" : "", *name);
        rgi_sheet_put(&s, "\"");
    }
    rgi_sheet_put(&s, "\n");
    for (size_t r = 0; r < h->rows; r++)
        for (size_t c = 0; c < h->columns; c++)
            rgi_sheet_put(&s, c + 1 < h->columns ? "%.9g," : "%.9g\n", h->at[r * h->columns + c]);
    return rgi_sheet_write(&s, "rg_fit", path);
}

rg_status rgi_history_write_svg(const rgi_history *h, const char *path)
{
    double *columns = malloc((h->rows + 1) * h->columns * sizeof *columns);
    rg_curve curves[RGI_HISTORY_COLUMNS];
    if (!columns)
        return rgi_fault(RG_ERR_MEMORY, "rg_fit: %s: out of memory", path);
    for (size_t c = 0; c < h->columns; c++) {
        for (size_t r = 0; r < h->rows; r++)
            columns[c * h->rows + r] = h->at[r * h->columns + c];
        curves[c] = (rg_curve){h->names[c], columns + c * h->rows};
    }
    const rg_status status = rg_write_curves(path, "over epochs", columns, h->rows, curves + 2, h->columns - 2);
    free(columns);
    return status;
}

void rgi_history_free(rgi_history *h)
{
    free(h->at);
    h->at = NULL;
    h->rows = h->capacity = 0;
}

/* ---- the note: "fit 1", then 64-bit words in hexadecimal ---- */

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void put(rgi_sheet *s, uint64_t word)
{
    rgi_sheet_put(s, " %" PRIx64, word);
}

char *rgi_note_write(const rgi_position *p, const rgi_history *h)
{
    rgi_sheet s = {0};
    rgi_sheet_put(&s, "%s", head);
    const uint64_t words[] = {(uint64_t)p->examples, (uint64_t)p->batch,      p->seed,
                              (uint64_t)p->epoch,    (uint64_t)p->done,       bits_of(p->best),
                              bits_of(p->seconds),   (uint64_t)p->best_epoch, (uint64_t)p->stale,
                              (uint64_t)h->columns,  (uint64_t)h->rows};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        put(&s, words[i]);
    for (size_t i = 0; i < 1 + RG_FIT_METRICS; i++)
        put(&s, bits_of(p->sums[i]));
    for (size_t i = 0; i < h->rows * h->columns; i++)
        put(&s, bits_of(h->at[i]));
    if (!s.failed)
        return s.at;
    rgi_sheet_free(&s);
    return NULL;
}

/* The next word; false where none stands. */
static bool take(const char **at, uint64_t *word)
{
    char *end;
    *word = strtoull(*at, &end, 16);
    const bool there = end != *at;
    *at = end;
    return there;
}

static bool take_number(const char **at, double *value)
{
    uint64_t bits;
    const bool there = take(at, &bits);
    memcpy(value, &bits, sizeof bits);
    return there;
}

rg_status rgi_note_read(const char *note, const char *path, rgi_position *p, rgi_history *h)
{
    uint64_t w[11];
    const char *at = note + sizeof head - 1;
    bool ok = strncmp(note, head, sizeof head - 1) == 0;
    for (size_t i = 0; i < 11 && ok; i++)
        ok = take(&at, &w[i]);
    if (!ok)
        return rgi_fault(RG_ERR_STATE, "rg_fit: %s: this checkpoint was not saved by rg_fit", path);
    if (w[0] != (uint64_t)p->examples || w[1] != (uint64_t)p->batch || w[2] != p->seed || w[9] != h->columns)
        return rgi_fault(RG_ERR_STATE,
                         "rg_fit: %s: this checkpoint is of another training: %" PRIu64
                         " examples in batches of %" PRIu64 ", seed %" PRIu64 ", %" PRIu64
                         " numbers an epoch; now it is %" PRId64 ", %" PRId64 ", %" PRIu64 ", %zu",
                         path, w[0], w[1], w[2], w[9], p->examples, p->batch, p->seed, h->columns);
    p->epoch = (int64_t)w[3];
    p->done = (int64_t)w[4];
    memcpy(&p->best, &w[5], sizeof p->best);
    memcpy(&p->seconds, &w[6], sizeof p->seconds);
    p->best_epoch = (int64_t)w[7];
    p->stale = (int64_t)w[8];
    for (size_t i = 0; i < 1 + RG_FIT_METRICS && ok; i++)
        ok = take_number(&at, &p->sums[i]);
    for (uint64_t r = 0; r < w[10] && ok; r++) {
        const rg_status status = grow(h);
        if (status)
            return status;
        for (size_t c = 0; c < h->columns && ok; c++)
            ok = take_number(&at, &h->at[h->rows * h->columns + c]);
        h->rows += ok;
    }
    return ok ? RG_OK : rgi_fault(RG_ERR_STATE, "rg_fit: %s: the note of this checkpoint ends too early", path);
}
