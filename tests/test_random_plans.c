/* test_random_plans.c - training steps and evaluations by chance: whatever way they are planned and run, every bit is
   that of the plainest plan. RETROGRADE_SEED=N: only that graph. */
#include "random_plans.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(random_plans, every_way_has_the_bits_of_the_plainest, .timeout = 3000)
{
    const char *only = getenv("RETROGRADE_SEED");
    const uint64_t first = only ? strtoull(only, NULL, 0) : 0, seeds = only ? 1 : getenv("RETROGRADE_SLOW") ? 3000 : 18;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        random_difference d;
        const bool built = random_plans_compare(&(random_choice){.seed = seed}, ~(uint64_t)0, &d);
        cr_expect(built && d.way < 0, "%s", d.text);
    }
}
