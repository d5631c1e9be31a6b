/*
 * lines.c - see lines.h
 *
 * Lines end at a newline; the last one may do without (systemd appends neither newline nor NUL).
 */
#include "lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "sockrig: notify: "

/* Length of the line that begins the text. */
static size_t line_length(const char *text, size_t size)
{
    const char *newline = memchr(text, '\n', size);

    return newline != NULL ? (size_t)(newline - text) : size;
}

/* Notifiers in other languages like to send the NUL too. */
static size_t without_nul(const char *message, size_t size)
{
    return size > 0 && message[size - 1] == '\0' ? size - 1 : size;
}

static void print_line(FILE *out, const char *line, size_t length)
{
    fputs(PREFIX, out);
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)line[i];

        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            fprintf(out, "\\x%02x", byte);
        else
            fputc(byte, out);
    }
    fputc('\n', out);
}

char *notify_lines_text(const char *message, size_t size)
{
    char *text = NULL;
    size_t text_size;
    FILE *out = open_memstream(&text, &text_size);

    if (out == NULL)
        return NULL;
    size = without_nul(message, size);
    for (size_t at = 0; at < size;) {
        const size_t length = line_length(message + at, size - at);

        if (length > 0)
            print_line(out, message + at, length);
        at += length + 1;
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

bool notify_lines_have(const char *message, size_t size, const char *line)
{
    size = without_nul(message, size);
    for (size_t at = 0; at < size;) {
        const size_t length = line_length(message + at, size - at);

        if (length == strlen(line) && memcmp(message + at, line, length) == 0)
            return true;
        at += length + 1;
    }
    return false;
}
