/*
 * places.h - capacities of what is made at a place of a program: SIZE@SITE[@FILE]
 */
#ifndef CLI_PLACES_H
#define CLI_PLACES_H

#include "options.h"

/*
 * Finds the code of all places in *options, and gives it to the emulator's own ones. `program` is
 * PROG's file.
 *
 * Returns true; false: the caller prints ret_message, which holds RUN_OPTIONS_MESSAGE bytes.
 */
bool places_resolve(struct run_options *options, const char *program, char *ret_message);

#endif
