/* write_events.c - scalars into an event file in the given directory, and on standard output; for events.py. */
#include <retrograde/retrograde.h>

#include <inttypes.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const int64_t steps[] = {0, 1, 127, 128, 300, INT32_MAX, INT64_MAX, -1};
    static const double values[] = {0.25, -1e-30, 3.0e38, 0, 1.0 / 3};
    static const char *const tags[] = {"loss/train", "accuracy/\xC3\xBC\xC3\xA9", "a"};
    rg_events *e = argc > 1 ? rg_events_open(argv[1]) : NULL;
    int failed = !e;
    for (size_t i = 0; i < 120 && !failed; i++) {
        failed = rg_events_scalar(e, tags[i % 3], steps[i % 8], values[i % 5]) != RG_OK;
        printf("%s %" PRId64 " %.9g\n", tags[i % 3], steps[i % 8], (double)(float)values[i % 5]);
    }
    if (rg_events_close(e) || failed) {
        fprintf(stderr, "%s\n", rg_last_error());
        return 1;
    }
    return 0;
}
