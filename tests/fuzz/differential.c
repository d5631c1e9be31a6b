/*
 * differential.c - random calls on the kernel and on the emulator, which must agree
 *
 *   differential [--seed N] [--calls N] [--seconds N] [--profile N] [--cpu N] [--findings DIR]
 *                [--keep-going] [--replay FILE [--text]]
 *
 * Sequences are random bytes of a seed; the same seed gives the same sequences. A difference is
 * confirmed with fresh sides, shrunk, printed, and written into a file of --findings.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "explained.h"
#include "outcomes.h"
#include "shrink.h"
#include "sides.h"

#define ACTIONS_LEAST 24u
#define ACTIONS_MORE  120u
#define FINDINGS_MAX  20u
#define REPORT_EVERY  10 /* seconds */

struct campaign {
    struct sides *sides;
    uint64_t seed;
    uint64_t calls_wanted;
    double seconds;
    int profile; /* < 0: all */
    const char *findings;
    bool keeps_going;
    uint64_t calls;
    uint64_t sequences;
    uint64_t legal;
    uint64_t unsteady;
    uint32_t found;
    char folder[64];
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool read_sequence(const char *path, struct sequence *ret_sequence)
{
    FILE *file = fopen(path, "rb");

    memset(ret_sequence, 0, sizeof(*ret_sequence));
    if (!file) {
        fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
        return false;
    }
    ret_sequence->size = (uint32_t)fread(ret_sequence->bytes, 1, SEQUENCE_MAXSIZE, file);
    fclose(file);
    return true;
}

static void write_sequence(const struct campaign *campaign, uint64_t number,
                           const struct sequence *sequence, const char *text)
{
    char path[300];
    FILE *file;

    if (!campaign->findings)
        return;
    mkdir(campaign->findings, 0777);
    snprintf(path, sizeof(path), "%s/%llu-%llu.bin", campaign->findings,
             (unsigned long long)campaign->seed, (unsigned long long)number);
    file = fopen(path, "wb");
    if (!file)
        return;
    fwrite(sequence->bytes, 1, sequence->size, file);
    fclose(file);
    printf("kept in %s\n", path);
    if (!text)
        return;
    memcpy(strrchr(path, '.'), ".strace", sizeof(".strace"));
    file = fopen(path, "w");
    if (!file)
        return;
    fputs(text, file);
    fclose(file);
}

static const char *end_text(enum side_end end)
{
    return end == SIDE_DIED ? "died" : end == SIDE_HUNG ? "hangs" : "fine";
}

static void print_finding(struct campaign *campaign, const struct sequence *sequence,
                          const struct finding *finding)
{
    printf("%u actions, kernel %s, emulator %s, %u objects left%s%s\n", sequence_count(sequence),
           end_text(finding->kernel), end_text(finding->emulator), finding->left,
           finding->legal ? ", legal" : "", finding->unsteady ? ", the kernel is unsteady" : "");
    if (finding->position != UINT32_MAX) {
        printf("  kernel:   ");
        log_print_entry(stdout, &finding->expected);
        printf("  emulator: ");
        log_print_entry(stdout, &finding->actual);
    }
    sides_run(campaign->sides, sequence, true);
    printf("%s",
           sides_text(campaign->sides, finding->kernel == SIDE_FINE ? SIDE_KERNEL : SIDE_EMU));
    fflush(stdout);
}

/*
 * Makes it short. False: it isn't there any more, short or whole; on a busy machine a call of the
 * kernel's side may have been interrupted by who it woke. A side that died has died.
 */
static bool shorten(struct campaign *campaign, struct sequence *sequence, struct finding *finding)
{
    const struct sequence whole = *sequence;
    bool died = finding->kernel == SIDE_DIED || finding->emulator == SIDE_DIED;

    shrink(campaign->sides, sequence, finding);
    finding_confirm(campaign->sides, sequence, finding);
    if (!finding->found || finding->legal || finding->unsteady) {
        *sequence = whole;
        finding_confirm(campaign->sides, sequence, finding);
    }
    return died || (finding->found && !finding->legal && !finding->unsteady);
}

static void look_closer(struct campaign *campaign, struct sequence *sequence, uint64_t number)
{
    const struct sequence whole = *sequence;
    struct finding finding;

    finding_confirm(campaign->sides, sequence, &finding);
    if (!finding.found || finding.legal) {
        campaign->legal++;
        return;
    }
    if (finding.unsteady) { /* the kernel itself answers now so, now so */
        campaign->unsteady++;
        return;
    }
    if (finding.explained >= 0) {
        explained_count(finding.explained);
        return;
    }
    if (!shorten(campaign, sequence, &finding)) {
        campaign->unsteady++;
        sides_renew(campaign->sides);
        return;
    }
    campaign->found++;
    printf("sequence %llu of seed %llu:\n", (unsigned long long)number,
           (unsigned long long)campaign->seed);
    write_sequence(campaign, number * 10, &whole, NULL);
    print_finding(campaign, sequence, &finding);
    write_sequence(campaign, number * 10 + 1, sequence, sides_text(campaign->sides, SIDE_KERNEL));
    sides_renew(campaign->sides);
}

static void report(const struct campaign *campaign, double started)
{
    double seconds = now() - started;

    printf("%llu calls, %llu sequences, %.0f calls/s, %u findings, %llu legal, "
           "%llu unsteady\n",
           (unsigned long long)campaign->calls, (unsigned long long)campaign->sequences,
           (double)campaign->calls / (seconds > 0 ? seconds : 1), campaign->found,
           (unsigned long long)campaign->legal, (unsigned long long)campaign->unsteady);
    fflush(stdout);
}

static void run_campaign(struct campaign *campaign)
{
    double started = now();
    double reported = started;
    uint64_t number = 0;

    while (campaign->calls < campaign->calls_wanted && now() - started < campaign->seconds) {
        uint64_t state = campaign->seed * 1000003 + number;
        struct sequence sequence;
        struct finding finding;

        sequence_random(sequence_next(&state),
                        ACTIONS_LEAST + (uint32_t)(sequence_next(&state) % ACTIONS_MORE),
                        &sequence);
        if (campaign->profile >= 0)
            sequence.bytes[HEADER_PROFILE] = (uint8_t)campaign->profile;
        finding_look(campaign->sides, &sequence, &finding);
        campaign->calls += sides_log(campaign->sides, SIDE_KERNEL)->calls;
        campaign->sequences++;
        if (finding.found)
            look_closer(campaign, &sequence, number);
        if (campaign->found >= (campaign->keeps_going ? FINDINGS_MAX : 1))
            break;
        number++;
        if (now() - reported > REPORT_EVERY) {
            reported = now();
            report(campaign, started);
        }
    }
    report(campaign, started);
}

static void replay(struct campaign *campaign, const char *path, bool text)
{
    struct sequence sequence;
    struct finding finding;

    if (!read_sequence(path, &sequence))
        exit(125);
    finding_confirm(campaign->sides, &sequence, &finding);
    campaign->found += finding.found && !finding.legal && finding.explained < 0;
    if (finding.found || text)
        print_finding(campaign, &sequence, &finding);
    if (text)
        printf("--- emulator\n%s", sides_text(campaign->sides, SIDE_EMU));
}

static void print_outcomes(struct campaign *campaign)
{
    const struct outcomes *kernel = sides_outcomes(campaign->sides, SIDE_KERNEL);
    uint32_t listed;
    uint32_t reached;

    outcomes_count(kernel, &listed, &reached);
    printf("outcomes (call, flag or option, errno): %u of %u, %.1f %%\n", reached, listed,
           100.0 * reached / (listed ? listed : 1));
    outcomes_print_missing(kernel, stdout);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", 1, NULL, 's' },       { "calls", 1, NULL, 'c' },  { "seconds", 1, NULL, 't' },
        { "profile", 1, NULL, 'p' },    { "cpu", 1, NULL, 'u' },    { "findings", 1, NULL, 'f' },
        { "keep-going", 0, NULL, 'k' }, { "replay", 1, NULL, 'r' }, { "text", 0, NULL, 'x' },
        { NULL, 0, NULL, 0 },
    };
    struct campaign campaign = { .seed = 1, .calls_wanted = 100000, .seconds = 1e9, .profile = -1 };
    const char *replayed = NULL;
    bool text = false;
    int cpu = -1;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's': campaign.seed = strtoull(optarg, NULL, 0); break;
        case 'c': campaign.calls_wanted = strtoull(optarg, NULL, 0); break;
        case 't': campaign.seconds = atof(optarg); break;
        case 'p': campaign.profile = atoi(optarg); break;
        case 'u': cpu = atoi(optarg); break;
        case 'f': campaign.findings = optarg; break;
        case 'k': campaign.keeps_going = true; break;
        case 'r': replayed = optarg; break;
        case 'x': text = true; break;
        default: return 125;
        }
    }
    snprintf(campaign.folder, sizeof(campaign.folder), "/tmp/sockrig-fuzz-XXXXXX");
    if (!mkdtemp(campaign.folder))
        return 125;
    campaign.sides = sides_create(campaign.folder, cpu, false);
    if (replayed)
        replay(&campaign, replayed, text);
    else
        run_campaign(&campaign);
    explained_print(stdout);
    print_outcomes(&campaign);
    sides_destroy(campaign.sides);
    rmdir(campaign.folder);
    return campaign.found ? 1 : 0;
}
