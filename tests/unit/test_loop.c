/* The end of a tick, and the buffers that connections borrow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/clock.h"
#include "common/loop.h"
#include "common/timer.h"

struct job {
    struct flush flush;
    struct loop *loop;
    struct job *other; /* queued from within */
    unsigned again;    /* queues itself so often */
    unsigned runs;
};

static void run_job(struct flush *f)
{
    struct job *job = container_of(f, struct job, flush);

    assert_false(f->is_queued);
    job->runs++;
    if (job->again > 0) {
        job->again--;
        loop_flush_later(job->loop, f);
    }
    if (job->other != NULL) {
        loop_flush_cancel(job->loop, &job->other->flush);
    }
}

static void job_init(struct job *job, struct loop *l)
{
    *job = (struct job){ .flush = { .run = run_job }, .loop = l };
}

static void on_never(void *owner)
{
    (void)owner;
    fail();
}

/* Something to wait for: libuv runs no round without. */
static struct timer *keep_alive(struct loop *l)
{
    struct timer *t = timer_new(l, on_never, NULL);

    assert_non_null(t);
    timer_set(t, l->now_us + 3600 * US_PER_S);
    return t;
}

static void test_a_flush_runs_once_a_tick(void **state)
{
    struct loop l;
    struct timer *alive;
    struct job job;
    uint64_t tick;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    alive = keep_alive(&l);
    job_init(&job, &l);
    loop_flush_later(&l, &job.flush);
    loop_flush_later(&l, &job.flush);
    tick = l.tick;
    uv_run(&l.uv, UV_RUN_NOWAIT);
    assert_int_equal(job.runs, 1);
    assert_int_equal(l.tick, tick + 1);
    uv_run(&l.uv, UV_RUN_NOWAIT);
    assert_int_equal(job.runs, 1);
    timer_close(alive);
    loop_close(&l);
}

static void test_a_flush_may_queue_and_cancel(void **state)
{
    struct loop l;
    struct job first, second;
    struct timer *alive;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    alive = keep_alive(&l);
    job_init(&first, &l);
    job_init(&second, &l);
    first.again = 3;
    first.other = &second;
    loop_flush_later(&l, &first.flush);
    loop_flush_later(&l, &second.flush);
    uv_run(&l.uv, UV_RUN_NOWAIT);
    assert_int_equal(first.runs, 4);
    assert_int_equal(second.runs, 0);
    assert_false(second.flush.is_queued);
    timer_close(alive);
    loop_close(&l);
}

/* Runs last, and wants all the others to have run then. */
struct last {
    struct flush flush;
    struct job *others;
    unsigned runs;
};

static void run_last(struct flush *f)
{
    struct last *last = container_of(f, struct last, flush);

    assert_int_equal(last->others->again, 0);
    assert_false(last->others->flush.is_queued);
    last->runs++;
}

static void test_what_leaves_waits_for_all_other_flushes(void **state)
{
    struct loop l;
    struct job job;
    struct last last = { .flush = { .run = run_last }, .others = &job };
    struct timer *alive;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    alive = keep_alive(&l);
    job_init(&job, &l);
    job.again = 3;
    loop_flush_last(&l, &last.flush);
    loop_flush_later(&l, &job.flush);
    uv_run(&l.uv, UV_RUN_NOWAIT);
    assert_int_equal(job.runs, 4);
    assert_int_equal(last.runs, 1);
    loop_flush_last(&l, &last.flush);
    loop_flush_cancel(&l, &last.flush);
    uv_run(&l.uv, UV_RUN_NOWAIT);
    assert_int_equal(last.runs, 1);
    loop_flush_last(&l, &last.flush);
    timer_close(alive);
    loop_close(&l);
    assert_int_equal(last.runs, 2);
}

static void test_what_is_queued_at_the_end_still_runs(void **state)
{
    struct loop l;
    struct job job;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    job_init(&job, &l);
    loop_flush_later(&l, &job.flush);
    loop_close(&l);
    assert_int_equal(job.runs, 1);
}

static void test_batches_are_kept_up_to_a_bound(void **state)
{
    struct batch *batches[LOOP_BATCHES_KEPT + 2];
    struct loop l;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    for (size_t i = 0; i < LOOP_BATCHES_KEPT + 2; i++) {
        batches[i] = loop_batch_take(&l);
        assert_non_null(batches[i]);
        batches[i]->len = 7;
    }
    for (size_t i = 0; i < LOOP_BATCHES_KEPT + 2; i++) {
        loop_batch_give(&l, batches[i]);
    }
    loop_batch_give(&l, NULL);
    assert_int_equal(l.batch_count, LOOP_BATCHES_KEPT);
    batches[0] = loop_batch_take(&l);
    assert_int_equal(batches[0]->len, 0);
    loop_batch_give(&l, batches[0]);
    loop_close(&l);
}

static void test_the_spare_chunk_is_empty_each_time(void **state)
{
    struct chunk *spare;
    struct loop l;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    spare = loop_spare(&l);
    assert_int_equal(chunk_room(spare), TLS_RECORD_MAX);
    chunk_grow(spare, 100);
    chunk_drop(spare, 60);
    assert_ptr_equal(loop_spare(&l), spare);
    assert_int_equal(chunk_room(spare), TLS_RECORD_MAX);
    assert_int_equal(spare->start, CHUNK_HEADROOM);
    loop_close(&l);
}

static void test_time_does_not_go_back(void **state)
{
    uint64_t before = clock_us();
    struct loop l;

    (void)state;
    assert_int_equal(loop_open(&l), ERR_OK);
    assert_true(l.now_us >= before);
    before = l.now_us;
    assert_true(loop_now(&l) >= before);
    assert_true(clock_wall_s() > 1700000000);
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flush_runs_once_a_tick),
        cmocka_unit_test(test_a_flush_may_queue_and_cancel),
        cmocka_unit_test(test_what_leaves_waits_for_all_other_flushes),
        cmocka_unit_test(test_what_is_queued_at_the_end_still_runs),
        cmocka_unit_test(test_batches_are_kept_up_to_a_bound),
        cmocka_unit_test(test_the_spare_chunk_is_empty_each_time),
        cmocka_unit_test(test_time_does_not_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
