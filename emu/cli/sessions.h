/*
 * sessions.h - the command `sockrig sessions`
 */
#ifndef CLI_SESSIONS_H
#define CLI_SESSIONS_H

/* argv[0] is "sessions". Returns the exit code. */
int sessions_main(int argc, char **argv);

#endif
