/*
 * interpret_main.h - the command `sockrig interpret`
 */
#ifndef CLI_INTERPRET_MAIN_H
#define CLI_INTERPRET_MAIN_H

/* argv[0] is "interpret". Returns the exit code: 0 same, 1 differs, 125 unreadable. */
int interpret_main(int argc, char **argv);

#endif
