/*
 * guided.c - the same sequences, chosen by libFuzzer for what they reach in the emulator
 *
 * The emulator's side is this process, so that libFuzzer sees where it goes; the kernel's is a
 * child. A difference that the kernel shows again ends the program: libFuzzer keeps the input, and
 * `differential --replay FILE` shrinks it. Mutations keep records whole: some bytes of one change,
 * or records are copied, moved, removed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sequence.h"
#include "shrink.h"
#include "sides.h"

static struct sides *sides;
static char folder[] = "/tmp/sockrig-guided-XXXXXX";

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!mkdtemp(folder))
        return 1;
    sides = sides_create(folder, -1, true);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sequence sequence;
    struct finding finding;

    memset(&sequence, 0, sizeof(sequence));
    sequence.size = size < SEQUENCE_MAXSIZE ? (uint32_t)size : SEQUENCE_MAXSIZE;
    memcpy(sequence.bytes, data, sequence.size);
    for (int i = 0; i < 4; i++) {
        finding_look(sides, &sequence, &finding);
        if (!finding.found || finding.explained >= 0)
            return 0;
    }
    fprintf(stderr, "kernel:   ");
    log_print_entry(stderr, &finding.expected);
    fprintf(stderr, "emulator: ");
    log_print_entry(stderr, &finding.actual);
    abort();
}

static size_t copy_record(uint8_t *records, size_t count, size_t from, size_t to)
{
    uint8_t record[SEQUENCE_RECORD];

    memcpy(record, records + from * SEQUENCE_RECORD, SEQUENCE_RECORD);
    memmove(records + (to + 1) * SEQUENCE_RECORD, records + to * SEQUENCE_RECORD,
            (count - to) * SEQUENCE_RECORD);
    memcpy(records + to * SEQUENCE_RECORD, record, SEQUENCE_RECORD);
    return count + 1;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    uint64_t state = seed;
    uint8_t *records = data + SEQUENCE_HEADER;
    size_t most = (max_size < SEQUENCE_MAXSIZE ? max_size : SEQUENCE_MAXSIZE) - SEQUENCE_HEADER;
    size_t count;
    size_t which;

    if (max_size < SEQUENCE_HEADER + SEQUENCE_RECORD)
        return size;
    if (size < SEQUENCE_HEADER + SEQUENCE_RECORD) {
        memset(data + size, 0, SEQUENCE_HEADER + SEQUENCE_RECORD - size);
        size = SEQUENCE_HEADER + SEQUENCE_RECORD;
    }
    count = (size - SEQUENCE_HEADER) / SEQUENCE_RECORD;
    which = sequence_next(&state) % count;
    switch (sequence_next(&state) % 8) {
    case 0: data[sequence_next(&state) % SEQUENCE_HEADER] = (uint8_t)sequence_next(&state); break;
    case 1:
        if (count > 1) {
            memmove(records + which * SEQUENCE_RECORD, records + (which + 1) * SEQUENCE_RECORD,
                    (count - which - 1) * SEQUENCE_RECORD);
            count--;
        }
        break;
    case 2:
    case 3:
        if ((count + 1) * SEQUENCE_RECORD <= most)
            count = copy_record(records, count, which, sequence_next(&state) % (count + 1));
        break;
    case 4:
        if ((count + 1) * SEQUENCE_RECORD <= most) {
            count = copy_record(records, count, which, count);
            for (size_t i = 0; i < SEQUENCE_RECORD; i++)
                records[(count - 1) * SEQUENCE_RECORD + i] = (uint8_t)sequence_next(&state);
        }
        break;
    default:
        records[which * SEQUENCE_RECORD + sequence_next(&state) % SEQUENCE_RECORD] =
            (uint8_t)sequence_next(&state);
        break;
    }
    return SEQUENCE_HEADER + count * SEQUENCE_RECORD;
}
