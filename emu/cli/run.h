/*
 * run.h - the command `sockrig run`
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

/* argv[0] is "run". Returns the exit code; doesn't return when PROG's death by a signal is
 * repeated. */
int run_main(int argc, char **argv);

#endif
