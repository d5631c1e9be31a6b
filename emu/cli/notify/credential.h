/*
 * credential.h - the credential vmm.notify_socket, as a directory for $CREDENTIALS_DIRECTORY
 */
#ifndef CLI_NOTIFY_CREDENTIAL_H
#define CLI_NOTIFY_CREDENTIAL_H

#define CREDENTIAL_PATH_MAX 512

/*
 * Makes a private directory (0700) with the file vmm.notify_socket, which holds `value` and no
 * newline. With `existing` (NULL: none), a directory of credentials, each of its entries can be
 * read through ours too.
 *
 * ret_path holds CREDENTIAL_PATH_MAX bytes.
 * Returns 0 or a positive errno, and nothing is left.
 */
int credential_create(const char *value, const char *existing, char *ret_path);

/* Removes the directory and its entries; what they point to stays. */
void credential_remove(const char *path);

#endif
