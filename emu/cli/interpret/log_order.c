/*
 * log_order.c - the order that a search begins with
 */
#include <stdlib.h>
#include <string.h>

#include "interpret/log_run.h"

int log_order_first(const struct log *log, const struct log_plan *plan, struct log_order *ret_order)
{
    struct log_order order;

    order.starts = malloc((log->call_count + 1) * sizeof(order.starts[0]));
    order.cut = calloc(log->call_count + 1, sizeof(order.cut[0]));
    order.halves = malloc((log->call_count + 1) * sizeof(order.halves[0]));
    order.exits = malloc((log->task_count + 1) * sizeof(order.exits[0]));
    if (!order.starts || !order.cut || !order.halves || !order.exits) {
        log_order_free(&order);
        return -1;
    }
    for (size_t i = 0; i < log->call_count; i++) {
        const struct log_call *call = &log->calls[i];
        bool late = call->split && plan->steps[i].mode == LOG_NO_WAIT;

        order.halves[i] = -1;
        order.starts[i] = late ? call->end : call->start;
    }
    for (size_t i = 0; i < log->task_count; i++)
        order.exits[i] = log->tasks[i].exit;
    *ret_order = order;
    return 0;
}

void log_order_free(struct log_order *order)
{
    free(order->starts);
    free(order->cut);
    free(order->halves);
    free(order->exits);
    memset(order, 0, sizeof(*order));
}
