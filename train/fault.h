/* fault.h - how this folder reports errors. */
#ifndef RGI_TRAIN_FAULT_H
#define RGI_TRAIN_FAULT_H

#include <retrograde/base.h>

/* Sets rg_last_error and returns `status`. */
rg_status rgi_fault(rg_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
