/* table_ops.h - declarations of the built-in ops. */
#ifndef RGI_TABLE_OPS_H
#define RGI_TABLE_OPS_H

#include <retrograde/op.h>

#define RGI_OP(name) extern const rg_op rgi_op_##name;
#include "table.h"
#undef RGI_OP

#endif
