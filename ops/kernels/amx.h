/* amx.h - whether there are tiles. */
#ifndef RGK_AMX_H
#define RGK_AMX_H

#include <stdbool.h>

/* Whether the processor has tiles that multiply bf16, and the operating system can save them. */
bool rgk_has_amx(void);

#endif
