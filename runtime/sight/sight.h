/* sight.h - what the texts and pictures of a plan share. */
#ifndef RGI_SIGHT_H
#define RGI_SIGHT_H

#include "timeline.h"

#include "../../graph/text.h"

#define RGI_TITLE 96

/* What a step does, in a few words: "contract", "fused(scale, tanh, add)", "contract + fused(axpy)". */
const char *rgi_step_title(const rgi_program *prog, size_t step, char *text, size_t size);
/* The scope of names it works for, or "". */
const char *rgi_step_scope(const rgi_program *prog, size_t step);
/* Text inside a JSON string, a DOT string or an XML text. */
void rgi_print_escaped(rgi_text *out, const char *text);

#endif
