/*
 * log.h - what one side saw of a sequence: entries of one size, which two sides must have alike
 */
#ifndef FUZZ_LOG_H
#define FUZZ_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define LOG_MAX   8192u
#define LOG_BYTES 48u

enum entry_kind {
    ENTRY_RESULT = 1, /* a call ended: its result; hash: its signals */
    ENTRY_OUT,        /* what it wrote */
    ENTRY_BLOCKED,    /* it sleeps */
    ENTRY_SKIPPED,    /* left out: it might have blocked beside another one */
    ENTRY_WORLD,      /* fork, thread, exit, exec, interrupt: on which task */
};

struct entry {
    uint16_t action;
    uint8_t task;
    uint8_t kind;
    uint32_t size; /* OUT: in bytes */
    int64_t value;
    uint64_t hash;
    char name[16];
    uint8_t bytes[LOG_BYTES]; /* OUT: the first of them */
};

struct log {
    uint32_t count;
    uint32_t calls; /* system calls made, those of the drain too */
    uint32_t left;  /* objects that the emulator still had at the end */
    bool full;
    struct entry entries[LOG_MAX];
};

uint64_t log_hash(uint64_t seed, const void *bytes, uint32_t size);
struct entry *log_add(struct log *log, enum entry_kind kind, uint32_t action, uint32_t task,
                      const char *name);

/* Where the two differ first, or UINT32_MAX. */
uint32_t log_compare(const struct log *a, const struct log *b);

void log_print_entry(FILE *file, const struct entry *entry);

#endif
