/*
 * options.h - the options of `sockrig run`
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "emu.h"

#include "session_name.h"

#define RUN_BRIDGES_MAX 32 /* of one run */

/* --on-deadlock. By default what is proven ends the run, and what is suspected is reported. */
enum run_deadlock { RUN_DEADLOCK_DEFAULT, RUN_DEADLOCK_REPORT, RUN_DEADLOCK_KILL };

enum run_request { RUN_PROGRAM, RUN_HELP, RUN_VERSION };

struct run_options {
    enum run_request request;
    struct emu_options emu; /* what the session gets */
    char *record;           /* --record: a folder; NULL: none; owned */
    bool report;            /* --report: all that happened, not refusals alone */
    char *report_file;      /* ... into this file; NULL: stderr; owned */
    bool json;
    bool verbose;
    bool wait_all;       /* --wait=all: end when all that PROG started has ended */
    uint64_t timeout_ns; /* --timeout; 0: none */
    uint64_t hang_ns;    /* --hang-timeout; 0: none */
    bool sandbox;        /* --sandbox */
    char *suppressions;  /* --suppressions: a file; NULL: none; owned */
    int error_exitcode;  /* --error-exitcode: of a run with findings; 0: PROG's own */
    enum run_deadlock on_deadlock;
    const char *notify;   /* --notify: its form, as NOTIFY_SOCKET begins; NULL: not asked for */
    char *on_ready;       /* --on-ready: a command for sh -c; NULL: none; owned */
    bool on_command_line; /* an option stood there that is no business of a run inside a session */
    char session[SESSION_NAME_SIZE]; /* --session; "": none */
    uint32_t cid;                    /* --cid; 0: none */
    char *bridges[RUN_BRIDGES_MAX];  /* --bridge: as they were given; owned */
    size_t bridge_count;
    char *places[EMU_MAX_PLACES]; /* NAME=SIZE@SITE[@FILE]: places_resolve(); owned */
    size_t place_count;
    char *hybrid;   /* --hybrid: as it was given; NULL: none; owned */
    char **program; /* PROG ARG... NULL, inside the argv that was parsed */
};

/* Room for any message of run_options_parse(). */
#define RUN_OPTIONS_MESSAGE 1024

/*
 * Parses run's own argv ("run", OPTIONS, "--", PROG, ARG...), after the words of `environment`
 * (SOCKRIG_OPTIONS; NULL: none), over which the command line wins.
 *
 * After: ret_options->program points into argv; run_options_fini() releases the rest.
 *
 * Returns true; false: the caller prints ret_message, which holds RUN_OPTIONS_MESSAGE bytes and is
 *         untouched on success, as *ret_options is on failure.
 */
bool run_options_parse(int argc, char **argv, const char *environment,
                       struct run_options *ret_options, char *ret_message);

/* Releases what *options owns. */
void run_options_fini(struct run_options *options);

/* What `sockrig run --help` prints. */
extern const char run_options_help[];

#endif
