/* loss_terms.h - builders of the elementwise terms of losses. */
#ifndef RGI_LOSS_TERMS_H
#define RGI_LOSS_TERMS_H

#include <retrograde/base.h>

rg_node *rgi_huber(rg_node *d, double delta);     /* d^2/2 where |d| <= delta, else delta (|d| - delta/2) */
rg_node *rgi_bce(rg_node *p, rg_node *t);         /* -(t log p + (1 - t) log(1 - p)), logs cut at -100 */
rg_node *rgi_bce_logits(rg_node *x, rg_node *t);  /* log(1 + exp(x)) - x t */
rg_node *rgi_kl_term(rg_node *log_p, rg_node *t); /* t (log t - log_p), 0 where t = 0 */

#endif
