/*
 * connect_line.c - see connect_line.h
 *
 *                  Firecracker                         cloud-hypervisor
 *   incomplete     bad: all must be there at once      waits for more
 *   32 bytes, \n?  without one, these 32 are the line  bad
 *   keyword        the first word, in any case         "connect ", in any case, at the start
 *   port           the second word; others may follow  all the rest, blanks around it dropped
 *
 * Firecracker reads 10 bytes ("connect 0\n"), then one by one up to a newline: one among the first
 * nine ends nothing. Both take the number as Rust's u32 does: digits, a plus sign before them.
 *
 * Sources: muxer.rs, read_local_stream_port(), of each.
 *
 * Leaves out: blanks beyond ASCII between Firecracker's words (Rust's split_whitespace).
 */
#include "gateway/connect_line.h"

#include <string.h>
#include <strings.h>

#define FIRECRACKER_FIRST 10 /* MIN_READ_LEN */
#define BLANKS            " \t\n\v\f\r"

static bool is_blank(char byte)
{
    return byte != '\0' && strchr(BLANKS, byte) != NULL;
}

/* str::parse::<u32>() */
static bool parse_port(const char *text, size_t length, uint32_t *ret_port)
{
    uint64_t port = 0;

    if (length > 0 && *text == '+') {
        text++;
        length--;
    }
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        port = port * 10 + (uint64_t)(text[i] - '0');
        if (port > UINT32_MAX)
            return false;
    }
    *ret_port = (uint32_t)port;
    return true;
}

/* Bytes that the UTF-8 character at `at` has, 0: it is none. Unicode, table 3-7. */
static size_t character_size(const unsigned char *at, size_t size)
{
    const unsigned char first = at[0];
    const size_t wanted = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || wanted > size)
        return 0;
    for (size_t i = 1; i < wanted; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
        (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f))
        return 0;
    return wanted;
}

/* str::from_utf8() */
static bool is_text(const char *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        const size_t step = character_size((const unsigned char *)bytes + at, size - at);

        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

/* Finds the next word from *at on and moves *at behind it. Returns its length; 0: none. */
static size_t next_word(const char *line, size_t size, size_t *at, const char **ret_word)
{
    size_t length = 0;

    while (*at < size && is_blank(line[*at]))
        ++*at;
    *ret_word = line + *at;
    while (*at < size && !is_blank(line[*at])) {
        ++*at;
        length++;
    }
    return length;
}

static bool parse_words(const char *line, size_t size, uint32_t *ret_port)
{
    const char *word;
    size_t at = 0;

    if (!is_text(line, size) || next_word(line, size, &at, &word) != strlen("connect") ||
        strncasecmp(word, "connect", strlen("connect")) != 0)
        return false;
    const size_t length = next_word(line, size, &at, &word);
    return parse_port(word, length, ret_port);
}

static enum connect_line judge_firecracker(const char *bytes, size_t size, uint32_t *ret_port,
                                           size_t *ret_used)
{
    size_t used = FIRECRACKER_FIRST;

    while (used < size && bytes[used - 1] != '\n') /* size is CONNECT_LINE_MAX at most */
        used++;
    *ret_used = used < size ? used : size;
    if (size < FIRECRACKER_FIRST || (bytes[used - 1] != '\n' && used < CONNECT_LINE_MAX) ||
        !parse_words(bytes, used, ret_port))
        return CONNECT_LINE_BAD;
    return CONNECT_LINE_GOOD;
}

static enum connect_line judge_cloud_hypervisor(const char *bytes, size_t size, uint32_t *ret_port,
                                                size_t *ret_used)
{
    const char *newline = memchr(bytes, '\n', size);
    const size_t keyword = strlen("connect ");

    if (newline == NULL && size < CONNECT_LINE_MAX)
        return CONNECT_LINE_MORE;
    *ret_used = newline != NULL ? (size_t)(newline - bytes) + 1 : size;
    if (newline == NULL)
        return CONNECT_LINE_BAD;
    size_t begin = keyword, end = (size_t)(newline - bytes);
    if (end < keyword || strncasecmp(bytes, "connect ", keyword) != 0)
        return CONNECT_LINE_BAD;
    while (begin < end && is_blank(bytes[begin]))
        begin++;
    while (end > begin && is_blank(bytes[end - 1]))
        end--;
    if (!parse_port(bytes + begin, end - begin, ret_port))
        return CONNECT_LINE_BAD;
    return CONNECT_LINE_GOOD;
}

enum connect_line connect_line_judge(enum emu_hybrid vmm, const char *bytes, size_t size,
                                     uint32_t *ret_port, size_t *ret_used)
{
    if (vmm == EMU_HYBRID_FIRECRACKER)
        return judge_firecracker(bytes, size, ret_port, ret_used);
    return judge_cloud_hypervisor(bytes, size, ret_port, ret_used);
}
