/*
 * listener.h - `sockrig notify-listener`: the guest that listens for --notify
 */
#ifndef CLI_NOTIFY_LISTENER_H
#define CLI_NOTIFY_LISTENER_H

/*
 * argv: the subcommand, and a form of enum notify_form by its name. Standard input and output are
 * the two pipes of frame.h. Says its port when it is ready (helper.h).
 *
 * Returns the exit code.
 */
int notify_listener_main(int argc, char **argv);

#endif
