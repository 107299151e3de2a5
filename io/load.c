/* load.c - parameters and buffers from a safetensors file: all that fit, or none. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/io.h>

#include "../graph/graph.h"
#include "bytes.h"
#include "safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A list of names in a text of bounded size: "a, b, ...". */
struct text {
    char *at;
    size_t size, used;
    bool cut;
};

static void append(struct text *text, const char *first, const char *second)
{
    static const char more[] = "...";
    const size_t a = strlen(first), b = strlen(second);
    if (text->cut)
        return;
    if (a + b + sizeof more > text->size - text->used) {
        memcpy(text->at + text->used, more, sizeof more);
        text->cut = true;
        return;
    }
    memcpy(text->at + text->used, first, a);
    memcpy(text->at + text->used + a, second, b + 1);
    text->used += a + b;
}

/* What a load works on: the file, its header, and the pairs of tensor and entry that go together. */
struct load {
    rg_graph *graph;
    int fd;
    uint64_t size;
    rgi_st st;
    rgi_entry **entries; /* sorted by name */
    struct pair {
        const rgi_st_tensor *tensor;
        rgi_entry *entry;
        size_t at; /* in `staged` */
    } * pairs;
    size_t n_pairs;
    unsigned char *staged;
    size_t staged_bytes;
    rgi_st_verify *verify;
    void *user;
};

rg_status rgi_st_read(const rgi_st *st, int fd, void *out, size_t n, uint64_t offset, const char *what)
{
    unsigned char *to = out;
    while (n) {
        const ssize_t got = pread(fd, to, n < (1u << 30) ? n : (1u << 30), (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return rgi_fail(RG_ERR_IO, "%s: %s: offset %" PRIu64 ": %s: %s", st->caller, st->path, offset, what,
                            strerror(errno));
        if (got == 0)
            return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": %s: the file ends here", st->caller, st->path,
                            offset, what);
        to += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return RG_OK;
}

static rg_status read_at(const struct load *l, void *out, size_t n, uint64_t offset, const char *what)
{
    return rgi_st_read(&l->st, l->fd, out, n, offset, what);
}

static rg_status open_file(struct load *l)
{
    struct stat info;
    l->fd = open(l->st.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (l->fd < 0 || fstat(l->fd, &info))
        return rgi_fail(RG_ERR_IO, "%s: %s: %s", l->st.caller, l->st.path, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return rgi_fail(RG_ERR_IO, "%s: %s: is not a regular file", l->st.caller, l->st.path);
    l->size = (uint64_t)info.st_size;
    return RG_OK;
}

static rg_status read_header(struct load *l)
{
    rgi_st *st = &l->st;
    unsigned char length[8];
    rg_status status = read_at(l, length, sizeof length, 0, "header length");
    if (status)
        return status;
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | length[i];
    if (n > RGI_ST_HEADER_MAX || n > l->size - sizeof length)
        return rgi_fail(RG_ERR_FORMAT,
                        "%s: %s: offset 0: header length: %" PRIu64 " bytes, but the file has %" PRIu64 " after it%s",
                        st->caller, st->path, n, l->size - sizeof length,
                        n > RGI_ST_HEADER_MAX ? " and the format allows 100000000" : "");
    if (n < 2)
        return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset 0: header length: %" PRIu64 " bytes hold no JSON object",
                        st->caller, st->path, n);
    st->header = rgi_alloc(&st->allocator, (size_t)n);
    if (!st->header)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory for a header of %" PRIu64 " bytes", st->caller, st->path,
                        n);
    st->header_bytes = (size_t)n;
    st->data = sizeof length + n;
    st->data_bytes = l->size - st->data;
    status = read_at(l, st->header, (size_t)n, sizeof length, "header");
    return status ? status : rgi_st_parse(st);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(rgi_entry *const *)a)->name, (*(rgi_entry *const *)b)->name);
}

static rg_status verify_pair(const struct load *l, const rgi_st_tensor *t, const rgi_entry *e)
{
    if (t->type->dtype != e->dtype)
        return rgi_fail(RG_ERR_DTYPE, "%s: %s: offset %" PRIu64 ": tensor '%s': dtype: %s in the file, %s in the graph",
                        l->st.caller, l->st.path, t->at, t->name, t->type->name, rg_dtype_name(e->dtype));
    if (!rg_shape_equal(t->shape, e->shape)) {
        char in_file[RGI_LABEL], in_graph[RGI_LABEL];
        rg_shape shape = t->shape;
        if (shape.rank > RG_MAX_RANK)
            return rgi_fail(RG_ERR_SHAPE,
                            "%s: %s: offset %" PRIu64
                            ": tensor '%s': shape: %d dimensions in the file, %s in the graph",
                            l->st.caller, l->st.path, t->at, t->name, shape.rank,
                            rgi_format_shape(NULL, e->shape, in_graph, sizeof in_graph));
        return rgi_fail(RG_ERR_SHAPE, "%s: %s: offset %" PRIu64 ": tensor '%s': shape: %s in the file, %s in the graph",
                        l->st.caller, l->st.path, t->at, t->name,
                        rgi_format_shape(NULL, shape, in_file, sizeof in_file),
                        rgi_format_shape(NULL, e->shape, in_graph, sizeof in_graph));
    }
    return RG_OK;
}

/* Walks both sorted lists of names. Without a report a missing name is an error. */
static rg_status match(struct load *l, rg_load_report *report)
{
    const rgi_store *store = l->graph->store;
    char buffer[512] = "";
    struct text missing = {.at = buffer, .size = sizeof buffer};
    rg_load_report counts = {0};
    for (size_t i = 0, k = 0; i < store->n || k < l->st.n;) {
        rgi_entry *e = i < store->n ? l->entries[i] : NULL;
        const rgi_st_tensor *t = k < l->st.n ? &l->st.at[k] : NULL;
        const int order = !e ? 1 : !t ? -1 : strcmp(e->name, t->name);
        if (order < 0) {
            append(&missing, counts.missing++ ? ", " : "", e->name);
            i++;
        } else if (order > 0) {
            counts.unexpected++;
            k++;
        } else {
            const rg_status status = verify_pair(l, t, e);
            if (status)
                return status;
            l->pairs[l->n_pairs++] = (struct pair){t, e, l->staged_bytes};
            l->staged_bytes += e->bytes; /* no more than the file holds */
            i++;
            k++;
        }
    }
    if (counts.missing && !report)
        return rgi_fail(RG_ERR_NAME, "%s: %s: %zu of the graph's %zu parameters and buffers are not in the file: %s",
                        l->st.caller, l->st.path, counts.missing, store->n, buffer);
    if (report) {
        counts.loaded = l->n_pairs;
        *report = counts;
    }
    return RG_OK;
}

/* The names behind the counts of a report. */
static void describe(const struct load *l, rg_load_report *report)
{
    struct text text = {.at = report->text, .size = sizeof report->text};
    const rgi_store *store = l->graph->store;
    bool first = true;
    for (size_t i = 0, p = 0; i < store->n; i++) {
        if (p < l->n_pairs && l->pairs[p].entry == l->entries[i]) {
            p++;
            continue;
        }
        append(&text, first ? "missing: " : ", ", l->entries[i]->name);
        first = false;
    }
    const char *head = first ? "unexpected: " : "; unexpected: ";
    for (size_t k = 0, p = 0; k < l->st.n; k++) {
        if (p < l->n_pairs && l->pairs[p].tensor == &l->st.at[k]) {
            p++;
            continue;
        }
        append(&text, head, l->st.at[k].name);
        head = ", ";
    }
}

/* Everything into temporary memory, so that an error leaves the graph as it was. */
static rg_status stage(struct load *l)
{
    l->staged = rgi_alloc(&l->st.allocator, l->staged_bytes ? l->staged_bytes : 1);
    if (!l->staged)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory for %zu bytes", l->st.caller, l->st.path,
                        l->staged_bytes);
    for (size_t i = 0; i < l->n_pairs; i++) {
        const struct pair *p = &l->pairs[i];
        unsigned char *bytes = l->staged + p->at;
        const uint64_t offset = l->st.data + p->tensor->begin;
        rg_status status = read_at(l, bytes, p->entry->bytes, offset, p->tensor->name);
        if (status)
            return status;
        rgi_little_endian(bytes, p->entry->bytes / p->tensor->type->bytes, p->tensor->type->bytes);
        for (size_t b = 0; p->entry->dtype == RG_BOOL && b < p->entry->bytes; b++)
            if (bytes[b] > 1)
                return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %" PRIu64 ": tensor '%s': a bool is %d, neither 0 nor 1",
                                l->st.caller, l->st.path, offset + b, p->tensor->name, bytes[b]);
        if ((status = rgi_entry_memory(l->graph->store, p->entry)))
            return status;
    }
    return RG_OK;
}

static void commit(struct load *l)
{
    for (size_t i = 0; i < l->n_pairs; i++) {
        rgi_entry *e = l->pairs[i].entry;
        memcpy(e->data, l->staged + l->pairs[i].at, e->bytes);
        e->drawn = true;
        e->version++;
    }
}

static rg_status load(struct load *l, rg_load_report *report)
{
    const rgi_store *store = l->graph->store;
    rg_status status;
    if ((status = open_file(l)) || (status = read_header(l)) ||
        (l->verify && (status = l->verify(l->user, l->fd, l->size, &l->st))))
        return status;
    const size_t n = store->n ? store->n : 1;
    l->entries = rgi_alloc(&l->st.allocator, n * sizeof *l->entries);
    l->pairs = rgi_alloc(&l->st.allocator, n * sizeof *l->pairs);
    if (!l->entries || !l->pairs)
        return rgi_fail(RG_ERR_MEMORY, "%s: %s: out of memory", l->st.caller, l->st.path);
    for (size_t i = 0; i < store->n; i++)
        l->entries[i] = store->at[i];
    qsort(l->entries, store->n, sizeof *l->entries, by_name);
    if ((status = match(l, report)) || (status = stage(l)))
        return status;
    commit(l);
    if (report)
        describe(l, report);
    return RG_OK;
}

rg_status rgi_st_load(rg_graph *g, const char *caller, const char *path, rg_load_report *report, rgi_st_verify *verify,
                      void *user)
{
    if (report)
        *report = (rg_load_report){0};
    if (!g || !path)
        return rgi_fail(RG_ERR_ARGUMENT, "%s: %s is NULL", caller, g ? "path" : "graph");
    struct load l = {.graph = g,
                     .fd = -1,
                     .st = {.allocator = g->allocator, .caller = caller, .path = path},
                     .verify = verify,
                     .user = user};
    const rg_status status = load(&l, report);
    const size_t n = g->store->n ? g->store->n : 1;
    if (l.fd >= 0)
        close(l.fd);
    rgi_free(&l.st.allocator, l.staged, l.staged_bytes ? l.staged_bytes : 1);
    rgi_free(&l.st.allocator, l.pairs, n * sizeof *l.pairs);
    rgi_free(&l.st.allocator, l.entries, n * sizeof *l.entries);
    rgi_st_finish(&l.st);
    if (status && report)
        *report = (rg_load_report){0};
    return status;
}

rg_status rg_load(rg_graph *g, const char *path, rg_load_report *report)
{
    return rgi_st_load(g, "rg_load", path, report, NULL, NULL);
}
