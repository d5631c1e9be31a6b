/*
 * args.h - functions of libc that scripts may call beside calls.def's; for those see arguments.h
 */
#ifndef INTERPRET_ARGS_H
#define INTERPRET_ARGS_H

/*
 * HELPER(name, signature, kinds): libc's alone, on both sides; a script needs them to set things
 * up. 'i' results of these may be new descriptors.
 */
#define HELPERS(HELPER)                 \
    HELPER(open, "i:pi", "wi")          \
    HELPER(eventfd, "i:ui", "ii")       \
    HELPER(setrlimit, "i:ip", "iL")     \
    HELPER(fallocate, "i:iill", "Fiii") \
    HELPER(fdatasync, "i:i", "F")       \
    HELPER(mmap, "l:pziiil", "iiiiFi")  \
    HELPER(getpid, "i:", "")            \
    HELPER(getuid, "u:", "")            \
    HELPER(getgid, "u:", "")

#endif
