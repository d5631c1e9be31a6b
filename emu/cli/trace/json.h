/*
 * json.h - a recording as JSON Lines: an object for each call
 */
#ifndef TRACE_JSON_H
#define TRACE_JSON_H

#include "trace/text.h"

/* As text_print(): of the options the filter, string_limit and quoting count. */
int json_print(struct trace *trace, const struct text_options *options, FILE *out);

#endif
