/* placeholder.h - a variable to differentiate with respect to. */
#ifndef RGI_PLACEHOLDER_H
#define RGI_PLACEHOLDER_H

#include <retrograde/base.h>

rg_node *rgi_placeholder(rg_node *like);

#endif
