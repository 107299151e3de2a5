/* checkpoint.c - all that a training needs to go on, in one safetensors file under a digest.

   The header's first member is {"__metadata__":{"digest":"<32 hexadecimal digits>","format":..,"seed":..,"note":..}.
   The digest is XXH3-128 over the whole file with zeros in its own place, so no byte can change unnoticed. */
#define _POSIX_C_SOURCE 200809L

#include <retrograde/io.h>

#include "../graph/graph.h"
#include "../graph/text.h"
#include "json.h"
#include "safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char opening[] = "{\"__metadata__\":{\"digest\":\""; /* what follows the length of the header */
static const char format[] = "retrograde checkpoint 1";

#define DIGEST_AT (8 + sizeof opening - 1)
#define DIGITS 32
#define PREVIOUS ".previous"

/* ---- saving ---- */

rg_status rg_checkpoint_save(rg_graph *g, const char *path, const char *note)
{
    if (!g || !path)
        return rgi_fail(RG_ERR_ARGUMENT, "rg_checkpoint_save: %s is NULL", g ? "path" : "graph");
    note = note ? note : "";
    if (!rgi_utf8_valid(note, strlen(note)))
        return rgi_fail(RG_ERR_NAME, "rg_checkpoint_save: %s: the note is not UTF-8", path);
    const size_t previous_bytes = strlen(path) + sizeof PREVIOUS, bytes = RGI_JSON_ESCAPE * strlen(note) + 256;
    char *previous = rgi_alloc(&g->allocator, previous_bytes), *metadata = rgi_alloc(&g->allocator, bytes);
    rg_status status = RG_OK;
    if (!previous || !metadata) {
        status = rgi_fail(RG_ERR_MEMORY, "rg_checkpoint_save: %s: out of memory", path);
    } else {
        snprintf(previous, previous_bytes, "%s" PREVIOUS, path);
        int n = snprintf(metadata, bytes, "%s%0*d\",\"format\":\"%s\",\"seed\":\"%016" PRIx64 "\",\"note\":\"",
                         opening + 1, DIGITS, 0, format, g->store->seed);
        for (const char *c = note; *c; c++)
            n += (int)rgi_json_escape(*c, metadata + n);
        memcpy(metadata + n, "\"}", 3);
        status = rgi_st_save(g, "rg_checkpoint_save", path,
                             &(rgi_st_extra){.metadata = metadata, .previous = previous, .digest = DIGEST_AT});
    }
    rgi_free(&g->allocator, metadata, bytes);
    rgi_free(&g->allocator, previous, previous_bytes);
    return status;
}

/* ---- loading ---- */

/* The digest of a file whose header says `claimed`. */
static rg_status verify_digest(int fd, uint64_t size, const rgi_st *st, const char *claimed)
{
    unsigned char block[1 << 14];
    char digits[DIGITS + 1];
    XXH3_state_t hash;
    XXH3_128bits_reset(&hash);
    for (uint64_t at = 0; at < size; at += sizeof block) {
        const size_t n = size - at < sizeof block ? (size_t)(size - at) : sizeof block;
        const rg_status status = rgi_st_read(st, fd, block, n, at, "file");
        if (status)
            return status;
        if (at == 0)
            memset(block + DIGEST_AT, '0', DIGITS); /* the opening has been found there */
        XXH3_128bits_update(&hash, block, n);
    }
    const XXH128_hash_t sum = XXH3_128bits_digest(&hash);
    snprintf(digits, sizeof digits, "%016" PRIx64 "%016" PRIx64, (uint64_t)sum.high64, (uint64_t)sum.low64);
    if (strcmp(digits, claimed) != 0)
        return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset %zu: digest: the file is damaged: its bytes give %s, not %s",
                        st->caller, st->path, DIGEST_AT, digits, claimed);
    return RG_OK;
}

/* For whom a file is read, and what is taken from its metadata. */
struct wanted {
    rg_graph *graph;
    char *note;
};

static rg_status verify_file(void *user, int fd, uint64_t size, const rgi_st *st)
{
    struct wanted *const load = user;
    char start[sizeof opening - 1];
    const char *claimed = rgi_st_metadata(st, "digest"), *kind = rgi_st_metadata(st, "format"),
               *seed = rgi_st_metadata(st, "seed"), *note = rgi_st_metadata(st, "note");
    rg_status status = size < DIGEST_AT + DIGITS ? RG_OK : rgi_st_read(st, fd, start, sizeof start, 8, "header");
    if (status)
        return status;
    if (size < DIGEST_AT + DIGITS || memcmp(start, opening, sizeof start) != 0 || !claimed ||
        strlen(claimed) != DIGITS || !kind || strcmp(kind, format) != 0 || !seed || !note)
        return rgi_fail(RG_ERR_FORMAT, "%s: %s: offset 8: header: this is no checkpoint (rg_load reads weights)",
                        st->caller, st->path);
    if ((status = verify_digest(fd, size, st, claimed)))
        return status;
    char ours[17];
    snprintf(ours, sizeof ours, "%016" PRIx64, load->graph->store->seed);
    if (strcmp(seed, ours) != 0)
        return rgi_fail(RG_ERR_STATE,
                        "%s: %s: it was made with the seed %s, the graph has %s: random draws would not go on",
                        st->caller, st->path, seed, ours);
    if (st->n > load->graph->store->n)
        return rgi_fail(RG_ERR_NAME,
                        "%s: %s: it has %zu tensors, the graph %zu parameters and buffers: that of another", st->caller,
                        st->path, st->n, load->graph->store->n);
    rgi_text text;
    rgi_text_init(&text, &st->allocator);
    rgi_text_printf(&text, "%s", note);
    load->note = rgi_text_take(&text);
    return load->note ? RG_OK : RG_ERR_MEMORY;
}

static rg_status load_one(rg_graph *g, const char *path, rg_checkpoint *found)
{
    struct wanted load = {g, NULL};
    const rg_status status = rgi_st_load(g, "rg_checkpoint_load", path, NULL, verify_file, &load);
    if (!status && found)
        found->note = load.note;
    else
        rg_text_free(load.note);
    return status;
}

rg_status rg_checkpoint_load(rg_graph *g, const char *path, rg_checkpoint *found)
{
    if (found)
        *found = (rg_checkpoint){0};
    rg_status status = load_one(g, path, found);
    if (!g || !path || (status != RG_ERR_FORMAT && status != RG_ERR_IO))
        return status; /* the checkpoint of another graph is not made better by an older one */
    char why[sizeof((rg_checkpoint *)NULL)->why];
    snprintf(why, sizeof why, "%s", rg_last_error());
    const size_t bytes = strlen(path) + sizeof PREVIOUS;
    char *previous = rgi_alloc(&g->allocator, bytes);
    if (!previous)
        return rgi_fail(RG_ERR_MEMORY, "rg_checkpoint_load: %s: out of memory", path);
    snprintf(previous, bytes, "%s" PREVIOUS, path);
    if (access(previous, F_OK) == 0) {
        const rg_status first = status;
        status = load_one(g, previous, found);
        if (status)
            status = rgi_fail(first, "%s; and the one before it: %s", why, rg_last_error());
        else if (found) {
            found->previous = true;
            memcpy(found->why, why, sizeof why);
        }
    } else {
        status = rgi_fail(status, "%s", why);
    }
    rgi_free(&g->allocator, previous, bytes);
    return status;
}
