/* rows.h - loops cut by rows. */
#ifndef RGI_ROWS_H
#define RGI_ROWS_H

#include "../plan.h"

#define RGI_ROW_INPUTS 64 /* of a single op in such a loop */

/* Whether a loop can be cut: how many rows it has, and what every piece reads whole. touched: by value, zeros. */
bool rgi_rows_find(const rg_plan *p, rgi_special *s, int32_t loop, size_t *touched, rgi_rows *out);
/* Makes the pieces of such a loop, at most one a row. False: out of memory, or *cannot: so few rows are computed in
   another way. */
bool rgi_rows_cut(const rg_plan *p, rgi_special *s, int32_t loop, size_t pieces, rgi_rows *rows, bool *cannot);
/* rows_run.c: step `step` of the body of a loop that is cut, for one piece. */
rg_status rgi_rows_run(const rgi_exec *loop, size_t piece, size_t step, char *scratch, const int64_t *t);

/* How many steps from `first` on, groups and copies of a loop's body before `end` that are shared out, can go one after
   the other without a meeting, each thread doing the same rows of all: they are cut into *rows tasks then. 0 or 1:
   none. touched: by owner, zeros. */
size_t rgi_rows_chain(const rg_plan *p, rgi_special *s, size_t first, size_t end, size_t *touched, int64_t *rows);
/* Whether a step that is no copy can be done for some of `rows` rows without the others; touched: by owner, not 0 where
   the rows of what is read are made one after the other, and where those of what is written will be. */
bool rgi_rows_fit(const rg_plan *p, rgi_special *s, size_t step, int64_t rows, size_t *touched);
/* Makes such a step for rows [lo, hi). False: out of memory, or *cannot: so few of them are computed in another way. */
bool rgi_rows_of_step(const rg_plan *p, rgi_special *s, size_t step, int64_t rows, int64_t lo, int64_t hi,
                      rgi_row_step *out, bool *cannot);
/* rows_run.c: one of `parts` parts of it. */
rg_status rgi_rows_part(const rgi_exec *e, const rgi_row_step *r, size_t part, size_t parts, char *scratch,
                        const int64_t *t);

#endif
