/*
 * decode_address.c - struct sockaddr of AF_UNIX and AF_VSOCK
 *
 * Other families are printed as bytes: no call on such a socket is recorded, but an address of any
 * family can be handed to any socket.
 */
#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "trace/names.h"
#include "trace/show.h"

static void show_unix(const struct show *show, const struct sockaddr_un *address, uint32_t size)
{
    const size_t begin = offsetof(struct sockaddr_un, sun_path);
    const uint8_t *path = (const uint8_t *)address->sun_path;
    size_t length = size > begin ? size - begin : 0;

    if (length == 0)
        return;
    fputs(", sun_path=", show->out);
    if (path[0] != '\0') {
        length = strnlen(address->sun_path, length);
        show_quoted(show, path, length, length, SIZE_MAX);
    } else { /* an abstract name; its first byte is 0 */
        fputc('@', show->out);
        show_quoted(show, path + 1, length - 1, length - 1, SIZE_MAX);
    }
}

static void show_vsock(const struct show *show, const struct sockaddr_vm *address, uint32_t size)
{
    const char *cid = name_of(NAMES_CID, address->svm_cid);

    if (size < offsetof(struct sockaddr_vm, svm_zero))
        return;
    if (cid != NULL)
        fprintf(show->out, ", svm_cid=%s", cid);
    else
        fprintf(show->out, ", svm_cid=%u", address->svm_cid);
    if (address->svm_port == VMADDR_PORT_ANY)
        fputs(", svm_port=VMADDR_PORT_ANY", show->out);
    else
        fprintf(show->out, ", svm_port=%#x", address->svm_port);
    if (address->svm_flags != 0)
        fprintf(show->out, ", svm_flags=%#x", address->svm_flags);
}

void show_sockaddr(const struct show *show, uint64_t address, uint32_t size)
{
    const uint32_t whole = size;
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_vm vm;
        uint8_t bytes[sizeof(struct sockaddr_storage)];
    } value;

    memset(&value, 0, sizeof value);
    if (size > sizeof value)
        size = sizeof value;
    if (address == 0 || size < sizeof value.any.sa_family ||
        !show_memory(show, address, &value, size)) {
        show_address(show, address);
        return;
    }
    fputs("{sa_family=", show->out);
    print_name(show->out, NAMES_FAMILY, value.any.sa_family);
    if (value.any.sa_family == AF_UNIX) {
        show_unix(show, &value.un, size < sizeof value.un ? size : sizeof value.un);
    } else if (value.any.sa_family == AF_VSOCK && size >= offsetof(struct sockaddr_vm, svm_zero)) {
        show_vsock(show, &value.vm, size);
    } else if (size > sizeof value.any.sa_family) {
        fputs(", sa_data=", show->out);
        show_quoted(show, value.bytes + 2, size - 2, whole - 2, SIZE_MAX);
    }
    fputc('}', show->out);
}

void show_sockaddr_out(const struct show *show, uint64_t address, uint64_t size_address)
{
    const struct show before = { .call = show->call, .when = TRACE_AT_ENTER };
    uint32_t room = 0, size = 0;
    const bool known = size_address != 0 &&
                       show_memory(&before, size_address, &room, sizeof room) &&
                       show_memory(show, size_address, &size, sizeof size);

    if (show_failed(show) || !known)
        show_address(show, address);
    else
        show_sockaddr(show, address, size < room ? size : room);
    fputs(show->between, show->out);
    if (!known)
        show_address(show, size_address);
    else if (size != room && !show_failed(show))
        fprintf(show->out, "[%u => %u]", room, size);
    else
        fprintf(show->out, "[%u]", room);
}
