/*
 * elsewhere.h - the hint that another session has what was looked for
 */
#ifndef CLI_ELSEWHERE_H
#define CLI_ELSEWHERE_H

#include <stdio.h>

#include "report.h"
#include "run_session.h"

/*
 * For every vsock connect that found nobody, asks the user's other sessions who listens there, and
 * prints which. Waits for those that don't answer, but not for long.
 */
void elsewhere_print(const struct report *report, const struct run_session *session, FILE *file);

#endif
