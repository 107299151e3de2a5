/* meter.h - how far a loop has come, shown on a terminal: a bar, a text of the caller's, the time that is left. */
#ifndef EXAMPLES_METER_H
#define EXAMPLES_METER_H

#include <stdbool.h>

typedef struct meter {
    double start, drawn;
    bool terminal;
} meter;

double meter_now(void); /* seconds */
meter meter_begin(void);
/* "[####----]  52%  TEXT  0:17 left", at most ten times a second; nothing where standard output is no terminal. */
void meter_show(meter *m, int done, int steps, const char *text);
/* Makes room for a line that is to stay. */
void meter_clear(const meter *m);

#endif
