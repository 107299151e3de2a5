/* table.c - every built-in op, from the one list in table.h. */
#include "common.h"
#include "table_ops.h"

const rg_op *const *rg_op_table(void)
{
    static const rg_op *const table[] = {
#define RGI_OP(name) &rgi_op_##name,
#include "table.h"
#undef RGI_OP
        NULL,
    };
    return table;
}
