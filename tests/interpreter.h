/* interpreter.h - the yardstick for plans: node after node, loops step by step, everything dense and by itself. */
#ifndef RETROGRADE_TESTS_INTERPRETER_H
#define RETROGRADE_TESTS_INTERPRETER_H

#include <retrograde/retrograde.h>

/* The value of a node outside of all bodies, from the present values of parameters and constants, to be released with
   free(); NULL where something is not understood (inputs, effects). */
void *interpret(rg_node *node);

#endif
