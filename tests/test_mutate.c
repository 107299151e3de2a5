/* test_mutate.c - damaged files, by the hundred (by ten thousand with RETROGRADE_SLOW=1, for each reader): bytes
   changed, doubled, cut out, cut off, numbers replaced by those that overflow. Whatever happens, a reader returns, and
   an error says which file is wrong at which offset. In every other file checksums are made to agree with the damage
   where a format has them. Meant to run under the sanitizers too. */
#define _DEFAULT_SOURCE

#include "files.h"
#include "readers.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 6, LARGEST = 1 << 13 };

/* One change of n bytes in memory for 2 n; returns the new length. */
static size_t mutate(unsigned char *bytes, size_t n, uint64_t *seed)
{
    static const uint64_t nasty[] = {0,         1,      0x7F,      0x80,       0xFF,      0x7FFF,
                                     0x8000,    0xFFFF, INT32_MAX, UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
                                     UINT64_MAX};
    const size_t at = random_next(seed) % n, length = 1 + random_next(seed) % 8;
    const size_t left = n - at < length ? n - at : length;
    switch (random_next(seed) % 7) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << random_next(seed) % 8);
        return n;
    case 1:
        bytes[at] = (unsigned char)random_next(seed);
        return n;
    case 2: /* a digit, a bracket, a quote: what text is made of */
        bytes[at] = (unsigned char)"0123456789[](){}\",:.-+eE' \n"[random_next(seed) % 27];
        return n;
    case 3:
        memcpy(bytes + at, &nasty[random_next(seed) % (sizeof nasty / sizeof *nasty)], left);
        return n;
    case 4: /* cut out */
        memmove(bytes + at, bytes + at + left, n - at - left);
        return n - left > 0 ? n - left : 1;
    case 5: /* doubled */
        memmove(bytes + at + left, bytes + at, n - at);
        return n + left;
    default:
        return at > 0 ? at : 1;
    }
}

static void mutate_files_of(const reader *r)
{
    static unsigned char sample[SAMPLES][LARGEST], bytes[2 * LARGEST];
    size_t whole[SAMPLES];
    const int files_tried = getenv("RETROGRADE_SLOW") ? 10000 : 300;
    uint64_t seed = 20;
    int refused = 0;
    begin();
    for (unsigned i = 0; i < SAMPLES; i++) {
        r->sample(path, i);
        whole[i] = read_bytes(sample[i], LARGEST);
        cr_assert(whole[i] < LARGEST / 2);
        cr_assert_eq(r->read(path), RG_OK, "%s: sample %u: %s", r->name, i, rg_last_error());
    }
    for (int i = 0; i < files_tried; i++) {
        const unsigned char *intact = sample[i % SAMPLES];
        size_t n = whole[i % SAMPLES];
        memcpy(bytes, intact, n);
        for (uint64_t k = 0; k <= random_next(&seed) % 3; k++)
            n = mutate(bytes, n, &seed);
        if (r->repair && i / SAMPLES % 2)
            r->repair(bytes, n);
        write_bytes(bytes, n);
        const bool changed = n != whole[i % SAMPLES] || memcmp(bytes, intact, n) != 0;
        const rg_status status = r->read(path);
        refused += status != RG_OK;
        cr_assert(status == RG_OK || status == RG_ERR_FORMAT || status == RG_ERR_SHAPE || status == RG_ERR_DTYPE,
                  "%s, file %d: %s: %s", r->name, i, rg_status_name(status), rg_last_error());
        cr_assert(status == RG_OK || (says(path) && says("offset")), "%s: %s", r->name, rg_last_error());
        cr_assert(!r->sealed || !changed || status != RG_OK, "%s: file %d is damaged and passes", r->name, i);
    }
    cr_assert(refused > files_tried / 3, "%s: only %d of %d are refused", r->name, refused, files_tried);
    end();
}

Test(io_mutations, every_reader, .timeout = 0)
{
    for (size_t i = 0; i < n_readers; i++)
        if (reader_present(&readers[i]))
            mutate_files_of(&readers[i]);
}
