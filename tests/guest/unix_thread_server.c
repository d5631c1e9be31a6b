/*
 * Proves: accept in one thread while another connects: each connection is served once, whoever of
 * several acceptors takes it; threads of one process connect at once over one small backlog; one
 * thread alone is client and server; connections are told apart by what they carry.
 *
 * Rows: 3.2 "connect: backlog full, blocking", 3.2 "listen / accept / connect among threads"
 */
#include "unix_names.h"

enum { ACCEPTORS = 3, CLIENTS = 3, ROUNDS = 100 };

struct world {
    int type, listener;
    struct unix_name name;
    atomic_int served[CLIENTS][ROUNDS];
};

struct role {
    struct guest_thread thread;
    struct world *world;
    int number, served;
};

struct message {
    int client, round;
};

static void *serve(void *argument)
{
    struct role *role = argument;
    struct world *world = role->world;
    for (;;) {
        struct message message;
        char byte;
        int fd = unix_accept(world->listener);
        CHECK_EQ(sizeof message, guest_read_all(fd, &message, sizeof message));
        if (message.client < 0) {
            CHECK_OK(close(fd));
            return NULL;
        }
        CHECK_EQ(1, atomic_fetch_add(&world->served[message.client][message.round], 1) + 1);
        role->served++;
        CHECK_EQ(sizeof message, write(fd, &message, sizeof message));
        CHECK_EQ(0, read(fd, &byte, 1));
        CHECK_OK(close(fd));
    }
}

static void *request(void *argument)
{
    struct role *role = argument;
    for (int round = 0; round < ROUNDS; round++) {
        const struct message message = { role->number, round };
        struct message reply;
        int fd = unix_client(role->world->type, &role->world->name);
        CHECK_EQ(sizeof message, write(fd, &message, sizeof message));
        CHECK_EQ(sizeof reply, guest_read_all(fd, &reply, sizeof reply));
        CHECK_MEM(&message, &reply, sizeof reply);
        CHECK_OK(close(fd));
    }
    return NULL;
}

static void many_and_many(int type, enum unix_form form)
{
    static struct world world;
    struct role acceptors[ACCEPTORS], clients[CLIENTS];
    const struct message last = { -1, 0 };
    memset(&world, 0, sizeof world);
    world.type = type;
    world.name = unix_named(form, "threads");
    world.listener = unix_listener(type, &world.name, 0);
    for (int i = 0; i < ACCEPTORS; i++) {
        acceptors[i] = (struct role){ .world = &world, .number = i };
        guest_thread_start(&acceptors[i].thread, serve, &acceptors[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct role){ .world = &world, .number = i };
        guest_thread_start(&clients[i].thread, request, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++) {
        guest_thread_join(&clients[i].thread);
    }
    int sum = 0;
    for (int i = 0; i < ACCEPTORS; i++) {
        int fd = unix_client(type, &world.name);
        CHECK_EQ(sizeof last, write(fd, &last, sizeof last));
        CHECK_OK(close(fd));
    }
    for (int i = 0; i < ACCEPTORS; i++) {
        guest_thread_join(&acceptors[i].thread);
        sum += acceptors[i].served;
    }
    CHECK_EQ(CLIENTS * ROUNDS, sum);
    CHECK_OK(close(world.listener));
    unix_forget(&world.name);
}

/* One connection wakes one sleeper; the others sleep on. */
static void one_is_woken(int type)
{
    struct role roles[ACCEPTORS];
    struct world world = { .type = type, .name = unix_abstract("threads") };
    const struct message last = { -1, 0 };
    world.listener = unix_listener(type, &world.name, 4);
    for (int i = 0; i < ACCEPTORS; i++) {
        roles[i] = (struct role){ .world = &world };
        guest_thread_start(&roles[i].thread, serve, &roles[i]);
        guest_thread_blocked(&roles[i].thread);
    }
    for (int i = 0; i < ACCEPTORS; i++) {
        char byte;
        int done = 0, fd = unix_client(type, &world.name);
        CHECK_EQ(sizeof last, write(fd, &last, sizeof last));
        CHECK_EQ(0, read(fd, &byte, 1));
        CHECK_OK(close(fd));
        while (done <= i) { /* until the deadline */
            done = 0;
            for (int other = 0; other < ACCEPTORS; other++) {
                done += atomic_load(&roles[other].thread.done);
            }
            CHECK(done <= i + 1);
            sched_yield();
        }
    }
    for (int i = 0; i < ACCEPTORS; i++) {
        guest_thread_join(&roles[i].thread);
    }
    CHECK_OK(close(world.listener));
}

/* A thread that is its own server: nothing needs another one to run. */
static void alone(int type, enum unix_form form)
{
    struct unix_name name = unix_named(form, "alone");
    int listener = unix_listener(type, &name, 0);
    for (int round = 0; round < 50; round++) {
        int client = unix_client(type, &name), accepted = unix_accept(listener);
        unix_talk_between(client, accepted);
        if (round % 2 == 0) {
            CHECK_OK(close(accepted));
            CHECK_OK(close(client));
        } else {
            CHECK_OK(close(client));
            CHECK_OK(close(accepted));
        }
    }
    CHECK_OK(close(listener));
    unix_forget(&name);
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        many_and_many(unix_types[i], UNIX_PATH);
        many_and_many(unix_types[i], UNIX_ABSTRACT);
        one_is_woken(unix_types[i]);
        alone(unix_types[i], UNIX_PATH);
        alone(unix_types[i], UNIX_ABSTRACT);
    }
    return unix_end();
}
