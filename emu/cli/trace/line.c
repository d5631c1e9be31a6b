/*
 * line.c - a call as one line of text, whatever ran while it did
 */
#include "trace/line.h"

#include "trace/decode.h"
#include "trace/decode_process.h"
#include "trace/names.h"

void line_arguments(struct show *show, const char *between)
{
    show->between = between;
    show->when = TRACE_AT_ENTER;
    decode_arguments(show, TRACE_AT_ENTER);
    if (!show->call->left)
        return;
    show->when = TRACE_AT_LEAVE;
    decode_arguments(show, TRACE_AT_LEAVE);
}

void line_print(struct show *show)
{
    const struct trace_call *call = show->call;
    const char *name = decode_name(call);

    if (call->kind == TRACE_SIGNAL) {
        show->when = TRACE_AT_ENTER;
        fputs("--- ", show->out);
        print_signal(show->out, process_signal_number(call));
        fputc(' ', show->out);
        process_signal(show);
        fputs(" ---", show->out);
        return;
    }
    if (name[0] == '\0')
        return;
    fprintf(show->out, "%s(", name);
    line_arguments(show, ", ");
    fputs(call->left || call->kind != TRACE_CALL ? ") = " : " <unfinished ...>) = ", show->out);
    decode_result(show);
}
