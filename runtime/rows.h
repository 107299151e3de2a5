/* rows.h - loops cut by rows. */
#ifndef RGI_ROWS_H
#define RGI_ROWS_H

#include "plan.h"

#define RGI_ROW_INPUTS 64 /* of a single op in such a loop */

/* Whether a loop can be cut: how many rows it has, and what every piece reads whole. touched: by value, zeros. */
bool rgi_rows_find(const rg_plan *p, rgi_special *s, int32_t loop, size_t *touched, rgi_rows *out);
/* Makes the pieces of such a loop, at most one a row. False: out of memory. */
bool rgi_rows_cut(const rg_plan *p, rgi_special *s, int32_t loop, size_t pieces, rgi_rows *rows);
/* rows_run.c: step `step` of the body of a loop that is cut, for one piece. */
rg_status rgi_rows_run(const rgi_exec *loop, size_t piece, size_t step, char *scratch, const int64_t *t);

#endif
