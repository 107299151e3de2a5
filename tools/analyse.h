/* analyse.h - what the static analyser is told in front of every file of the library: rgi_fail returns the status it is
   given, which cannot be seen from its declaration. Without it, `status = memory ? RG_OK : rgi_fail(...)` looks as if
   the memory could be missing where the status is RG_OK. */
#include "../graph/error.h"

#define rgi_fail(status, ...) (rgi_fail(status, __VA_ARGS__), (status))
