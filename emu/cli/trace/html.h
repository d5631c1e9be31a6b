/*
 * html.h - a recording as one HTML page: a sequence diagram
 */
#ifndef TRACE_HTML_H
#define TRACE_HTML_H

#include "trace/text.h"

/*
 * As text_print(). `name` is the title. It shows as many calls as a browser can hold, the first
 * ones; the page says how many are left out.
 */
int html_print(struct trace *trace, const struct text_options *options, const char *name,
               FILE *out);

#endif
