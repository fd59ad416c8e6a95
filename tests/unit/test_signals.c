/* Signals as events: drain, quit, reload. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/signals.h"
#include "common/timer.h"

static struct loop loop;
static enum signals_event got[8];
static size_t got_count;

static void on_signal(enum signals_event event, void *owner)
{
    (void)owner;
    got[got_count++] = event;
}

static void on_time(void *owner)
{
    (void)owner;
}

/* Send |signum| to ourselves and let the loop see it. */
static void send_signal(int signum)
{
    struct timer *t = timer_new(&loop, on_time, NULL);
    size_t before = got_count;

    assert_int_equal(kill(getpid(), signum), 0);
    for (unsigned i = 0; i < 100 && got_count == before; i++) {
        timer_set(t, loop_now(&loop) + 10 * US_PER_MS);
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    }
    timer_close(t);
}

static void test_the_first_drains_and_the_second_quits(void **state)
{
    struct signals *s;

    (void)state;
    got_count = 0;
    assert_int_equal(loop_open(&loop), ERR_OK);
    s = signals_open(&loop, on_signal, NULL);
    assert_non_null(s);
    send_signal(SIGHUP);
    send_signal(SIGTERM);
    send_signal(SIGHUP);
    send_signal(SIGINT);
    assert_int_equal(got_count, 4);
    assert_int_equal(got[0], SIGNALS_RELOAD);
    assert_int_equal(got[1], SIGNALS_DRAIN);
    assert_int_equal(got[2], SIGNALS_RELOAD);
    assert_int_equal(got[3], SIGNALS_QUIT);
    signals_close(s);
    signals_close(NULL);
    loop_close(&loop);
}

static void test_waiting_for_signals_keeps_no_loop_alive(void **state)
{
    struct signals *s;

    (void)state;
    assert_int_equal(loop_open(&loop), ERR_OK);
    s = signals_open(&loop, on_signal, NULL);
    loop_run(&loop);                              /* comes back at once */
    assert_int_equal(kill(getpid(), SIGPIPE), 0); /* and this does not kill */
    signals_close(s);
    loop_close(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_drains_and_the_second_quits),
        cmocka_unit_test(test_waiting_for_signals_keeps_no_loop_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
