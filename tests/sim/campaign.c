/*
 * Each worker keeps what it plays in memory that all share: what a process that
 * died was at is known, and can be played again with less.
 */
#include "tests/sim/campaign.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEEDS_DEFAULT 300u
#define JOBS_MAX 16u
#define TRIALS_MAX 500u
/* Of the processor's time: what takes longer hangs. */
#define PLAY_S 30

static struct campaign *now_playing;

bool campaign_event(struct campaign *c, unsigned number)
{
    if (number >= CAMPAIGN_EVENTS) {
        return true;
    }
    c->has_happened[number] = !c->play.is_skipped[number];
    return c->has_happened[number];
}

static void on_abort(int number)
{
    char line[80];
    /* NOLINTNEXTLINE(bugprone-signal-handler): it was our own abort() */
    int len = snprintf(line, sizeof(line), "sim: failed with SIM_SEED=%llu\n",
                       (unsigned long long)now_playing->play.seed);

    (void)number;
    if (write(2, line, (size_t)len) != len) {
        _exit(2);
    }
    _exit(1);
}

static void on_hang(int number)
{
    static const char why[] = "sim: it hangs\n";

    (void)number;
    if (write(2, why, sizeof(why) - 1) > 0) {
        abort();
    }
}

static void play_case(void (*play)(struct campaign *c), struct campaign *c)
{
    static const struct itimerval limit = { .it_value = { .tv_sec = PLAY_S } };

    memset(c->has_happened, 0, sizeof(c->has_happened));
    c->step = 0;
    now_playing = c;
    if (setitimer(ITIMER_VIRTUAL, &limit, NULL) != 0) {
        abort();
    }
    play(c);
}

/* --- a smaller one -------------------------------------------------------*/

/* What is tried, and with what. */
struct shrinking {
    void (*play)(struct campaign *c);
    struct campaign *campaign; /* shared */
    struct campaign_case least;
    unsigned trials;
};

/* Play |c| in a process of its own, silently if |is_silent|. */
static bool fails(struct shrinking *s, const struct campaign_case *c,
                  bool is_silent)
{
    int status = 0;
    pid_t child;

    s->campaign->play = *c;
    s->trials++;
    fflush(NULL);
    child = fork();
    if (child == 0) {
        int nowhere = open("/dev/null", O_WRONLY);

        if (is_silent && dup2(nowhere, 2) < 0) {
            _exit(0);
        }
        play_case(s->play, s->campaign);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return false;
    }
    return status != 0;
}

/* Whether |c| will do as well; then it is the least. */
static bool attempt(struct shrinking *s, const struct campaign_case *c)
{
    if (s->trials >= TRIALS_MAX || !fails(s, c, true)) {
        return false;
    }
    s->least = *c;
    return true;
}

/* The smallest |*value|, which lies in |c|, by halves. */
static void shrink_number(struct shrinking *s, struct campaign_case *c,
                          unsigned *value)
{
    for (unsigned less = *value / 2; less > 0; less /= 2) {
        bool is_good = true;

        while (is_good && less <= *value) {
            *value -= less;
            is_good = attempt(s, c);
            *value += is_good ? 0 : less;
        }
    }
}

/* The events that |s|'s least case has need of: none, half, each alone. */
static void shrink_events(struct shrinking *s)
{
    unsigned happened[CAMPAIGN_EVENTS];
    unsigned count = 0;

    if (!fails(s, &s->least, true)) {
        return;
    }
    for (unsigned i = 0; i < CAMPAIGN_EVENTS; i++) {
        if (s->campaign->has_happened[i]) {
            happened[count++] = i;
        }
        s->least.is_skipped[i] = !s->campaign->has_happened[i];
    }
    for (unsigned part = count; part > 0; part /= 2) {
        for (unsigned at = 0; at < count; at += part) {
            struct campaign_case c = s->least;

            for (unsigned i = at; i < at + part && i < count; i++) {
                c.is_skipped[happened[i]] = true;
            }
            (void)attempt(s, &c);
        }
    }
}

static void tell(const struct campaign_case *c, unsigned trials)
{
    const char *between = "";

    fprintf(stderr, "sim: shrunk in %u trials: SIM_SEED=%llu SIM_STEPS=%u ",
            trials, (unsigned long long)c->seed, c->steps);
    fprintf(stderr, "SIM_EXCHANGES=%u SIM_EVENTS=", c->exchanges);
    for (unsigned i = 0; i < CAMPAIGN_EVENTS; i++) {
        if (!c->is_skipped[i]) {
            fprintf(stderr, "%s%u", between, i);
            between = ",";
        }
    }
    fprintf(stderr, "%s\n", between[0] == '\0' ? "none" : "");
}

static void shrink(void (*play)(struct campaign *c), struct campaign *shared)
{
    struct shrinking s = { .play = play,
                           .campaign = shared,
                           .least = shared->play };
    struct campaign_case c;

    if (!fails(&s, &s.least, true)) {
        fprintf(stderr, "sim: alone, it does not fail\n");
        return;
    }
    for (unsigned before = 0; before != s.trials && s.trials < TRIALS_MAX;) {
        unsigned steps = s.least.steps;

        before = s.trials;
        c = s.least;
        shrink_number(&s, &c, &c.steps);
        c = s.least;
        shrink_number(&s, &c, &c.exchanges);
        shrink_events(&s);
        if (s.least.steps == steps) {
            break;
        }
    }
    tell(&s.least, s.trials);
    (void)fails(&s, &s.least, false);
}

/* --- all of them ---------------------------------------------------------*/

static unsigned long long number(const char *name, unsigned long long other)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : other;
}

/* What the environment says of a single case. */
static void read_case(struct campaign_case *c)
{
    const char *events = getenv("SIM_EVENTS");

    c->seed = number("SIM_SEED", 1);
    c->steps = (unsigned)number("SIM_STEPS", c->steps);
    c->exchanges = (unsigned)number("SIM_EXCHANGES", c->exchanges);
    if (events == NULL) {
        return;
    }
    memset(c->is_skipped, 1, sizeof(c->is_skipped));
    while (*events >= '0' && *events <= '9') {
        char *end;
        unsigned long event = strtoul(events, &end, 10);

        if (event < CAMPAIGN_EVENTS) {
            c->is_skipped[event] = false;
        }
        events = *end == ',' ? end + 1 : end;
    }
}

static void work(void (*play)(struct campaign *c), struct campaign *c,
                 uint64_t seeds, unsigned jobs)
{
    for (; c->play.seed <= seeds; c->play.seed += jobs) {
        play_case(play, c);
    }
}

/* The worker whose seed failed first, or NULL. */
static struct campaign *play_all(void (*play)(struct campaign *c),
                                 struct campaign *all, uint64_t seeds,
                                 unsigned jobs)
{
    struct campaign *failed = NULL;
    pid_t workers[JOBS_MAX];

    fflush(NULL);
    for (unsigned i = 0; i < jobs; i++) {
        workers[i] = fork();
        if (workers[i] == 0) {
            work(play, &all[i], seeds, jobs);
            exit(0);
        }
    }
    for (unsigned i = 0; i < jobs; i++) {
        int status = 0;

        if (workers[i] < 0 || waitpid(workers[i], &status, 0) != workers[i] ||
            status != 0) {
            if (failed == NULL || all[i].play.seed < failed->play.seed) {
                failed = &all[i];
            }
        }
    }
    return failed;
}

bool campaign_run(void (*play)(struct campaign *c),
                  const struct campaign_case *whole,
                  uint64_t counts[CAMPAIGN_COUNTS], uint64_t *seeds)
{
    unsigned jobs = (unsigned)number("SIM_JOBS", 2);
    struct campaign *failed = NULL;
    struct campaign *all;

    jobs = jobs < 1 ? 1 : jobs > JOBS_MAX ? JOBS_MAX : jobs;
    all = mmap(NULL, jobs * sizeof(*all), PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED || signal(SIGABRT, on_abort) == SIG_ERR ||
        signal(SIGVTALRM, on_hang) == SIG_ERR) {
        return false;
    }
    for (unsigned i = 0; i < jobs; i++) {
        all[i].play = *whole;
        all[i].play.seed = 1 + i;
    }
    *seeds = 0;
    if (getenv("SIM_SEED") != NULL) {
        read_case(&all[0].play);
        play_case(play, &all[0]);
    } else {
        *seeds = number("SIM_SEEDS", SEEDS_DEFAULT);
        failed = play_all(play, all, *seeds, jobs);
    }
    if (failed != NULL && getenv("SIM_SHRINK") == NULL) {
        shrink(play, failed);
    }
    for (unsigned i = 0; i < jobs * CAMPAIGN_COUNTS; i++) {
        counts[i % CAMPAIGN_COUNTS] +=
            all[i / CAMPAIGN_COUNTS].counts[i % CAMPAIGN_COUNTS];
    }
    (void)munmap(all, jobs * sizeof(*all));
    return failed == NULL;
}
