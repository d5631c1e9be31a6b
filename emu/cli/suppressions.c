/*
 * suppressions.c - see suppressions.h
 */
#include "suppressions.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"
#include "glob.h"

#define BLANKS " \t\r\n"

static const char *const fields[SUPPRESSION_FIELDS] = { "object", "function", "file", "program" };

/* What is being read. */
struct source {
    const char *path;
    int line;
    char *message;
};

__attribute__((format(printf, 2, 3))) static bool complain(const struct source *source,
                                                           const char *format, ...)
{
    va_list arguments;
    int used = snprintf(source->message, SUPPRESSIONS_MESSAGE, "%.200s:%d: ", source->path,
                        source->line);

    va_start(arguments, format);
    vsnprintf(source->message + used, (size_t)(SUPPRESSIONS_MESSAGE - used), format, arguments);
    va_end(arguments);
    return false;
}

static bool is_kind(const char *word)
{
    bool found = strcmp(word, "any") == 0;

    for (int kind = 0; kind < EMU_FINDING_KINDS; kind++)
        found |= strcmp(word, findings_kind_name((enum emu_finding_kind)kind)) == 0;
    return found;
}

/* One "NAME:GLOB". */
static bool parse_field(const struct source *source, const char *word, struct suppression *rule)
{
    const char *colon = strchr(word, ':');

    for (int field = 0; colon != NULL && field < SUPPRESSION_FIELDS; field++) {
        if (strlen(fields[field]) != (size_t)(colon - word) ||
            strncmp(fields[field], word, (size_t)(colon - word)) != 0)
            continue;
        if (rule->globs[field][0] != '\0')
            return complain(source, "%s: is given twice", fields[field]);
        if (colon[1] == '\0' || strlen(colon + 1) >= SUPPRESSION_GLOB)
            return complain(source, "%s: needs a pattern, shorter than %d bytes", fields[field],
                            SUPPRESSION_GLOB);
        strcpy(rule->globs[field], colon + 1);
        return true;
    }
    return complain(source, "%.100s: give object:, function:, file: or program: and a pattern",
                    word);
}

/* A line without its comment. False: it is bad. An empty one leaves `kind` empty. */
static bool parse_line(const struct source *source, char *line, struct suppression *ret_rule)
{
    struct suppression rule = { .line = source->line };
    char *rest = NULL;
    const char *word = strtok_r(line, BLANKS, &rest);

    if (word != NULL && !is_kind(word))
        return complain(source,
                        "%.100s: give a kind: open, unread, double-close, use-after-close, "
                        "sigpipe or any",
                        word);
    if (word != NULL)
        snprintf(rule.kind, sizeof rule.kind, "%s", word);
    while (word != NULL && (word = strtok_r(NULL, BLANKS, &rest)) != NULL) {
        if (!parse_field(source, word, &rule))
            return false;
    }
    *ret_rule = rule;
    return true;
}

bool suppressions_parse(FILE *file, const char *path, struct suppressions *ret_suppressions,
                        char *ret_message)
{
    struct source source = { path, 0, ret_message };
    struct suppressions found = { path, calloc(SUPPRESSIONS_MAX, sizeof *found.rules), 0 };
    char *line = NULL;
    size_t room = 0;
    bool good = found.rules != NULL || complain(&source, "%s", strerror(ENOMEM));

    while (good && getline(&line, &room, file) >= 0) {
        struct suppression rule;

        source.line++;
        line[strcspn(line, "#")] = '\0';
        good = parse_line(&source, line, &rule);
        if (!good || rule.kind[0] == '\0')
            continue;
        if (found.count == SUPPRESSIONS_MAX)
            good = complain(&source, "at most %d rules can be given", SUPPRESSIONS_MAX);
        else
            found.rules[found.count++] = rule;
    }
    free(line);
    if (!good) {
        suppressions_fini(&found);
        return false;
    }
    *ret_suppressions = found;
    return true;
}

bool suppressions_read(const char *path, struct suppressions *ret_suppressions, char *ret_message)
{
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        snprintf(ret_message, SUPPRESSIONS_MESSAGE, "%.400s: %s", path, strerror(errno));
        return false;
    }
    const bool good = suppressions_parse(file, path, ret_suppressions, ret_message);
    fclose(file);
    return good;
}

void suppressions_fini(struct suppressions *suppressions)
{
    free(suppressions->rules);
    suppressions->rules = NULL;
    suppressions->count = 0;
}

/* ---- Matching ---- */

/* "proxy.c" of "proxy.c:88". */
static bool is_in_source(const char *glob, const char *line)
{
    char name[SOURCE_LINE];

    snprintf(name, sizeof name, "%s", line);
    name[strcspn(name, ":")] = '\0';
    return glob_matches(glob, name);
}

static bool any_frame(const struct callsite *site, enum suppression_field field, const char *glob)
{
    for (size_t i = 0; i < site->count; i++) {
        const struct callsite_frame *frame = &site->frames[i];

        if (field == SUPPRESSION_FUNCTION
                ? glob_matches(glob, frame->source.function)
                : is_in_source(glob, frame->source.line) || glob_matches(glob, frame->module))
            return true;
    }
    return false;
}

static bool field_matches(const struct finding *finding, enum suppression_field field,
                          const char *glob)
{
    switch (field) {
    case SUPPRESSION_OBJECT: return glob_matches(glob, findings_object_name(finding->object));
    case SUPPRESSION_PROGRAM: return glob_matches(glob, finding->program);
    default:
        return any_frame(&finding->made, field, glob) || any_frame(&finding->closed, field, glob) ||
               any_frame(&finding->used, field, glob);
    }
}

static bool rule_matches(const struct suppression *rule, const struct finding *finding)
{
    if (strcmp(rule->kind, "any") != 0 &&
        strcmp(rule->kind, findings_kind_name(finding->kind)) != 0)
        return false;
    for (int field = 0; field < SUPPRESSION_FIELDS; field++) {
        if (rule->globs[field][0] != '\0' &&
            !field_matches(finding, (enum suppression_field)field, rule->globs[field]))
            return false;
    }
    return true;
}

/* What is known of programs that others wrote, and does no harm. */
static const struct suppression built_in[] = {
    /* execute_pipeline() and its kin close both ends again in the shell (strace shows it, too). */
    { .kind = "double-close",
      .globs[SUPPRESSION_PROGRAM] = "bash",
      .globs[SUPPRESSION_FILE] = "bash" },
};

bool suppressions_match(struct suppressions *suppressions, const struct finding *finding)
{
    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        if (rule_matches(&built_in[i], finding))
            return true;
    }
    for (size_t i = 0; i < suppressions->count; i++) {
        if (rule_matches(&suppressions->rules[i], finding)) {
            suppressions->rules[i].matched += finding->count;
            return true;
        }
    }
    return false;
}
