/*
 * bus_service - a service and its client on a D-Bus session bus, by GLib's GDBus
 *
 *     bus_service serve         owns org.example.Counter until its method Quit is called
 *     bus_service call          calls all of its methods and says what came back
 *     bus_service call quit     the same, and Quit in the end
 *
 * Upper answers its argument in capital letters, and announces it with the signal Said. Numbers
 * answers a descriptor of a pipe, into which the service writes 200,000 lines; Sum takes one and
 * adds up what can be read from it.
 */
#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NAME  "org.example.Counter"
#define PATH  "/"
#define LINES 200000

static const char description[] =
    "<node><interface name='" NAME "'>"
    "<method name='Upper'><arg type='s' direction='in'/><arg type='s' direction='out'/></method>"
    "<method name='Numbers'><arg type='h' direction='out'/></method>"
    "<method name='Sum'><arg type='h' direction='in'/><arg type='t' direction='out'/></method>"
    "<method name='Quit'/>"
    "<signal name='Said'><arg type='s'/></signal>"
    "</interface></node>";

static GMainLoop *loop;

static void check(gboolean good, const char *what, GError *error)
{
    if (!good) {
        printf("%s: %s\n", what, error == NULL ? "failed" : error->message);
        exit(1);
    }
}

static gpointer write_numbers(gpointer fd)
{
    FILE *file = fdopen(GPOINTER_TO_INT(fd), "w");

    for (int n = 1; n <= LINES; n++) {
        fprintf(file, "%d\n", n);
    }
    fclose(file);
    return NULL;
}

static guint64 sum_of(int fd, int *ret_lines)
{
    FILE *file = fdopen(fd, "r");
    guint64 sum = 0;
    long n;

    for (*ret_lines = 0; fscanf(file, "%ld", &n) == 1; ++*ret_lines) {
        sum += (guint64)n;
    }
    fclose(file);
    return sum;
}

/* A new pipe: its reading end, whose writing end a thread fills. */
static int numbers(void)
{
    int ends[2];

    check(pipe2(ends, O_CLOEXEC) == 0, "pipe2", NULL);
    g_thread_unref(g_thread_new("numbers", write_numbers, GINT_TO_POINTER(ends[1])));
    return ends[0];
}

static GUnixFDList *list_of(int fd)
{
    return g_unix_fd_list_new_from_array(&fd, 1);
}

static int first_of(GUnixFDList *fds, const char *what)
{
    GError *error = NULL;
    int fd = fds == NULL ? -1 : g_unix_fd_list_get(fds, 0, &error);

    check(fd >= 0, what, error);
    return fd;
}

static void answer_upper(GDBusConnection *bus, const char *word, GDBusMethodInvocation *call)
{
    char *upper = g_ascii_strup(word, -1);

    g_dbus_connection_emit_signal(bus, NULL, PATH, NAME, "Said", g_variant_new("(s)", upper), NULL);
    g_dbus_method_invocation_return_value(call, g_variant_new("(s)", upper));
    g_free(upper);
}

static void answer(GDBusConnection *bus, const char *sender, const char *path,
                   const char *interface, const char *method, GVariant *arguments,
                   GDBusMethodInvocation *call, gpointer data)
{
    (void)sender, (void)path, (void)interface, (void)data;
    if (strcmp(method, "Upper") == 0) {
        const char *word;

        g_variant_get(arguments, "(&s)", &word);
        answer_upper(bus, word, call);
    } else if (strcmp(method, "Numbers") == 0) {
        GUnixFDList *fds = list_of(numbers());

        g_dbus_method_invocation_return_value_with_unix_fd_list(call, g_variant_new("(h)", 0), fds);
        g_object_unref(fds);
    } else if (strcmp(method, "Sum") == 0) {
        GDBusMessage *message = g_dbus_method_invocation_get_message(call);
        int lines;
        int fd = first_of(g_dbus_message_get_unix_fd_list(message), "Sum");

        g_dbus_method_invocation_return_value(call, g_variant_new("(t)", sum_of(fd, &lines)));
    } else {
        g_dbus_method_invocation_return_value(call, NULL);
        g_dbus_connection_flush_sync(bus, NULL, NULL);
        g_main_loop_quit(loop);
    }
}

static void take_part(GDBusConnection *bus, const char *name, gpointer data)
{
    static const GDBusInterfaceVTable methods = { .method_call = answer };
    GError *error = NULL;
    GDBusNodeInfo *node = g_dbus_node_info_new_for_xml(description, &error);

    (void)name, (void)data;
    check(node != NULL, "description", error);
    check(g_dbus_connection_register_object(bus, PATH, node->interfaces[0], &methods, NULL, NULL,
                                            &error) > 0,
          "register", error);
    g_dbus_node_info_unref(node);
}

static void name_lost(GDBusConnection *bus, const char *name, gpointer data)
{
    (void)bus, (void)data;
    printf("no name %s\n", name);
    exit(1);
}

static int serve(void)
{
    loop = g_main_loop_new(NULL, FALSE);
    g_bus_own_name(G_BUS_TYPE_SESSION, NAME, 0, take_part, NULL, name_lost, NULL, NULL);
    g_main_loop_run(loop);
    return 0;
}

static GVariant *call(GDBusConnection *bus, const char *method, GVariant *arguments,
                      GUnixFDList *fds, GUnixFDList **ret_fds)
{
    GError *error = NULL;
    GVariant *result = g_dbus_connection_call_with_unix_fd_list_sync(
        bus, NAME, PATH, NAME, method, arguments, NULL, 0, -1, fds, ret_fds, NULL, &error);

    check(result != NULL, method, error);
    return result;
}

static void heard(GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                  const char *signal, GVariant *arguments, gpointer data)
{
    char *text = g_variant_print(arguments, FALSE);

    (void)bus, (void)sender, (void)path, (void)interface, (void)data;
    printf("signal %s %s\n", signal, text);
    g_free(text);
    g_main_loop_quit(loop);
}

static void call_upper(GDBusConnection *bus)
{
    GVariant *result = call(bus, "Upper", g_variant_new("(s)", "some words"), NULL, NULL);
    char *text = g_variant_print(result, FALSE);

    printf("Upper %s\n", text);
    g_free(text);
    g_variant_unref(result);
    g_main_loop_run(loop);
}

static void call_with_descriptors(GDBusConnection *bus)
{
    GUnixFDList *fds = NULL;
    GVariant *result = call(bus, "Numbers", NULL, NULL, &fds);
    guint64 sum;
    int lines;

    sum = sum_of(first_of(fds, "Numbers"), &lines);
    printf("Numbers: %d, %" G_GUINT64_FORMAT "\n", lines, sum);
    g_variant_unref(result);
    g_object_unref(fds);

    fds = list_of(numbers());
    result = call(bus, "Sum", g_variant_new("(h)", 0), fds, NULL);
    g_variant_get(result, "(t)", &sum);
    printf("Sum: %" G_GUINT64_FORMAT "\n", sum);
    g_variant_unref(result);
    g_object_unref(fds);
}

int main(int argc, char **argv)
{
    GError *error = NULL;
    GDBusConnection *bus;

    if (argc == 2 && strcmp(argv[1], "serve") == 0) {
        return serve();
    }
    bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, &error);
    check(bus != NULL, "bus", error);
    loop = g_main_loop_new(NULL, FALSE);
    g_dbus_connection_signal_subscribe(bus, NULL, NAME, "Said", PATH, NULL, 0, heard, NULL, NULL);
    call_upper(bus);
    call_with_descriptors(bus);
    if (argc == 3 && strcmp(argv[2], "quit") == 0) {
        g_variant_unref(call(bus, "Quit", NULL, NULL, NULL));
        printf("Quit\n");
    }
    return 0;
}
