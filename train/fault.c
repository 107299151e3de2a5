/* fault.c - errors as text, through the public gate. */
#include "fault.h"

#include <retrograde/op.h>

#include <stdarg.h>
#include <stdio.h>

rg_status rgi_fault(rg_status status, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    rg_build_fail(NULL, status, "%s", text);
    return status;
}
