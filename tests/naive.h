/* naive.h - NAIVE before a function: plain loops that say what is right, over arrays of the test's own. Sanitizers
   leave them out, whose checks would take most of a suite's time there. */
#ifndef NAIVE_H
#define NAIVE_H

#define NAIVE __attribute__((no_sanitize("address", "undefined", "thread")))

#endif
