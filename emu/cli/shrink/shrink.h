/*
 * shrink.h - the command `sockrig shrink`
 */
#ifndef SHRINK_SHRINK_H
#define SHRINK_SHRINK_H

/*
 * argv[0] is "shrink". Returns the exit code: 0 shrunk, 1 the file shows no difference, 125 it
 * can't be read or the command is wrong.
 */
int shrink_main(int argc, char **argv);

#endif
