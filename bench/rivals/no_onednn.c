/* no_onednn.c - stands where the build found no oneDNN. */
#include "../workload.h"

const char *onednn_start(const workload *w, int threads, contestant *out)
{
    (void)w, (void)threads, (void)out;
    return "oneDNN: not found when this was built (Debian: libdnnl-dev)";
}
