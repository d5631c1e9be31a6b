/*
 * say.c - a sequence as a script that `sockrig interpret` reads
 */
#include "vsock/run.h"

#include <stdlib.h>
#include <string.h>

void say_task(FILE *text, const struct run *run, const struct player *player)
{
    if (player != run->players)
        fprintf(text, "[t%u] ", (unsigned)(player - run->players));
}

static void say_value(const struct run *run, FILE *text, int64_t value)
{
    const char *name = value < 0 ? strerrorname_np((int)-value) : NULL;

    if (value >= 0)
        fprintf(text, ") = %lld", (long long)value);
    else if (name)
        fprintf(text, ") = -1 %s", name);
    else
        fprintf(text, ") = _");
    if (run->came > 0)
        fprintf(text, " pattern(1, %llu, %llu)", (unsigned long long)run->came,
                (unsigned long long)run->came_place);
    fputc('\n', text);
}

/* The line of the call that runs stands in front of those of tasks that it lets go on. */
void say_result(struct run *run, const struct player *player, const struct world_result *result)
{
    if (!run->text)
        return;
    if (player == run->running) {
        say_value(run, run->builder.text, result->value);
        return;
    }
    say_task(run->resumed, run, player);
    fprintf(run->resumed, "<... %s resumed>", player->made.name);
    say_value(run, run->resumed, result->value);
}

static FILE *open_text(char **ret_text, size_t *ret_size)
{
    FILE *file = open_memstream(ret_text, ret_size);

    if (!file)
        abort(); /* no memory */
    return file;
}

void say_begin(struct run *run, const struct player *player)
{
    run->running = player;
    if (!run->text)
        return;
    run->builder.text = open_text(&run->line, &run->line_size);
    run->resumed = open_text(&run->resumed_lines, &run->resumed_size);
    if (player)
        say_task(run->builder.text, run, player);
}

void say_end(struct run *run)
{
    run->running = NULL;
    if (!run->text)
        return;
    fclose(run->builder.text);
    fclose(run->resumed);
    run->builder.text = NULL;
    fprintf(run->text, "%s%s", run->line, run->resumed_lines);
    fflush(run->text);
    free(run->line);
    free(run->resumed_lines);
}

/* The action came to nothing. */
void say_forget(struct run *run)
{
    if (!run->text)
        return;
    fclose(run->builder.text);
    free(run->line);
    run->builder.text = open_text(&run->line, &run->line_size);
}
