/*
 * log_folder.h - work in a folder that is gone afterwards, whatever ends it
 */
#ifndef INTERPRET_LOG_FOLDER_H
#define INTERPRET_LOG_FOLDER_H

/*
 * Makes the folder /tmp/sockrig-log.XXXXXX and runs `function` in a child process; then all
 * processes it began are gone, and the folder with all that is in it. A signal that ends us
 * (SIGTERM, SIGINT, SIGHUP) ends the child first; one that has ended the child ends us.
 *
 * Returns what `function` returned (0..255), or -errno: there was no folder, or no child.
 */
int log_folder_run(int (*function)(void *context, const char *folder), void *context);

#endif
