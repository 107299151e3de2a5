/* samples_structural.c - the ops that have no inputs to sample: leaves, effects, regions. */
#include "samples.h"

#define SEE(op, where)                                       \
    {                                                        \
        .name = op, .flags = SAMPLE_STRUCTURAL, .see = where \
    }

const sample_row samples_structural[] = {
    SEE("input", "test_plan.c: bind and shapes"),
    SEE("param", "test_effects.c: parameters of two plans"),
    SEE("const", "test_plan.c: constants"),
    SEE("full", "test_plan.c: constants"),
    SEE("training", "test_plan.c: mode"),
    SEE("assign", "test_effects.c"),
    SEE("group", "test_effects.c: groups"),
    SEE("scan", "test_scan.c"),
    SEE("scan_slice", "test_scan.c"),
    SEE("scan_carry", "test_scan.c"),
    SEE("scan_index", "test_random.c: draws inside a scan"),
    SEE("result", "test_scan.c"),
    SEE("placeholder", "test_autograd.c: derivatives of inner nodes"),
    SEE("again", "test_rules.c: checkpointed parts"),
    SEE("custom", "test_rules.c: derivatives of the maker's own"),
    SEE("custom_vjp", "test_rules.c: derivatives of the maker's own"),
    SEE("custom_jvp", "test_rules.c: derivatives of the maker's own"),
    SEE("mix_index", "test_random.c: draws inside a scan"),
    {.name = NULL},
};
