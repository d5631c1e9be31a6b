/*
 * trace_main.h - the command `sockrig trace`
 */
#ifndef TRACE_TRACE_MAIN_H
#define TRACE_TRACE_MAIN_H

/* argv[0] is "trace". Returns the exit code: 0, 125 unreadable or called wrongly. */
int trace_main(int argc, char **argv);

#endif
