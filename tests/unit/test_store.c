/* The store: who may log in, and that a name is never given to another. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keys.h"
#include "relay/store.h"

#define NOW 1000000

static char folder[64];
static struct store *s;

static const uint8_t key_a[KEY_LEN] = "key of machine A", *a = key_a;
static const uint8_t key_b[KEY_LEN] = "key of machine B", *b = key_b;
static const uint8_t key_c[KEY_LEN] = "key of machine C", *c = key_c;

static void open_again(void)
{
    store_free(s);
    s = store_new();
    assert_non_null(s);
    assert_int_equal(store_open(s, folder), ERR_OK);
}

static int open_store(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/test_store-XXXXXX");
    if (keys_start() != ERR_OK || mkdtemp(folder) == NULL) {
        return -1;
    }
    s = NULL;
    open_again();
    return 0;
}

static int close_store(void **state)
{
    char command[96];

    (void)state;
    store_free(s);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

/* An invitation of |name| for |uses| machines; its public half is |letter|s. */
static const uint8_t *invited(char letter, const char *name, uint32_t uses)
{
    static struct store_invitation i;

    memset(i.enrol_key, letter, KEY_LEN);
    (void)snprintf(i.name, sizeof(i.name), "%s", name);
    i.expires_s = NOW + 100;
    i.uses_left = uses;
    assert_int_equal(store_invite(s, &i, NOW), ERR_OK);
    return i.enrol_key;
}

/* Enrol A and B by an invitation for two. */
static void enrol_a_and_b(void)
{
    const uint8_t *enrol = invited('i', "machine", 2);

    assert_int_equal(store_redeem(s, enrol, a, NOW), ERR_OK);
    assert_int_equal(store_redeem(s, enrol, b, NOW), ERR_OK);
}

static enum err bind(const uint8_t *key, char tag, const char *wanted,
                     char label[NAME_MAX_LEN + 1])
{
    struct store_bind q = { .wanted = span_text(wanted),
                            .names_max = 3,
                            .now_s = NOW };

    memcpy(q.key, key, KEY_LEN);
    memset(q.tag, tag, sizeof(q.tag));
    return store_bind_name(s, &q, label);
}

static void test_an_invitation_enrols_as_many_as_it_says(void **state)
{
    const uint8_t *enrol = invited('i', "laptop", 2);
    struct store_key k;

    (void)state;
    assert_int_equal(store_key(s, a, &k), ERR_AUTH);
    assert_int_equal(store_redeem(s, enrol, a, NOW), ERR_OK);
    assert_int_equal(store_key(s, a, &k), ERR_OK);
    assert_string_equal(k.name, "laptop");
    /* The same machine again costs nothing, also when it is spent. */
    assert_int_equal(store_redeem(s, enrol, a, NOW), ERR_OK);
    assert_int_equal(store_redeem(s, enrol, b, NOW), ERR_OK);
    assert_int_equal(store_redeem(s, enrol, c, NOW), ERR_AUTH);
    assert_int_equal(store_redeem(s, enrol, a, NOW + 200), ERR_OK);
    open_again();
    assert_int_equal(store_key(s, b, &k), ERR_OK);
    assert_int_equal(store_key(s, c, &k), ERR_AUTH);
}

static void test_every_useless_invitation_is_refused_alike(void **state)
{
    uint8_t unknown[KEY_LEN] = { 9 };
    char why[200];

    (void)state;
    assert_int_equal(store_redeem(s, unknown, a, NOW), ERR_AUTH);
    (void)snprintf(why, sizeof(why), "%s", store_why(s));
    assert_int_equal(store_redeem(s, invited('e', "x", 1), a, NOW + 100),
                     ERR_AUTH);
    assert_string_equal(store_why(s), why);
    /* Made by a clock that was ahead: it would be good for too long. */
    assert_int_equal(store_redeem(s, invited('f', "x", 1), a, NOW - 3601),
                     ERR_AUTH);
    assert_string_equal(store_why(s), why);
    assert_int_equal(store_redeem(s, invited('g', "x", 1), a, NOW - 3600),
                     ERR_OK);
    assert_int_equal(store_redeem(s, invited('u', "x", 1), b, NOW), ERR_OK);
    memset(unknown, 'u', KEY_LEN);
    assert_int_equal(store_redeem(s, unknown, c, NOW), ERR_AUTH);
    assert_string_equal(store_why(s), why);
}

static void test_a_revoked_key_stays_out(void **state)
{
    const uint8_t *enrol = invited('i', "laptop", 3);
    struct store_key k;

    (void)state;
    assert_int_equal(store_redeem(s, enrol, a, NOW), ERR_OK);
    assert_int_equal(store_revoke(s, a, NOW), ERR_OK);
    assert_int_equal(store_key(s, a, &k), ERR_REVOKED);
    assert_int_equal(store_redeem(s, enrol, a, NOW), ERR_REVOKED);
    /* What is left of its invitation ends with it. */
    assert_int_equal(store_redeem(s, enrol, b, NOW), ERR_AUTH);
    assert_int_equal(store_redeem(s, invited('j', "new", 1), a, NOW),
                     ERR_REVOKED);
}

static void test_the_same_target_gets_the_same_name_again(void **state)
{
    char first[NAME_MAX_LEN + 1], again[NAME_MAX_LEN + 1];

    (void)state;
    enrol_a_and_b();
    assert_int_equal(bind(a, 1, "", first), ERR_OK);
    open_again();
    assert_int_equal(bind(a, 1, "", again), ERR_OK);
    assert_string_equal(first, again);
    assert_int_equal(bind(a, 2, "", again), ERR_OK);
    assert_string_not_equal(first, again);
    assert_int_equal(bind(b, 1, "", again), ERR_OK);
    assert_string_not_equal(first, again);
}

static void test_a_wanted_name_is_its_first_keys_for_ever(void **state)
{
    char label[NAME_MAX_LEN + 1];

    (void)state;
    enrol_a_and_b();
    assert_int_equal(bind(a, 1, "demo", label), ERR_OK);
    assert_string_equal(label, "demo");
    assert_int_equal(bind(b, 1, "demo", label), ERR_NAME_TAKEN);
    assert_int_equal(bind(a, 2, "demo", label), ERR_OK);
    /* It is the name of the target it was last used for. */
    assert_int_equal(bind(a, 2, "", label), ERR_OK);
    assert_string_equal(label, "demo");
    assert_int_equal(store_revoke(s, a, NOW), ERR_OK);
    open_again();
    assert_int_equal(bind(b, 1, "demo", label), ERR_NAME_TAKEN);
    assert_int_equal(bind(b, 1, "", label), ERR_OK);
}

static void test_a_key_has_so_many_names_and_no_more(void **state)
{
    char label[NAME_MAX_LEN + 1];

    (void)state;
    enrol_a_and_b();
    assert_int_equal(bind(a, 1, "", label), ERR_OK);
    assert_int_equal(bind(a, 2, "", label), ERR_OK);
    assert_int_equal(bind(a, 3, "demo", label), ERR_OK);
    assert_int_equal(bind(a, 4, "", label), ERR_LIMIT);
    assert_non_null(strstr(store_why(s), "3 names already"));
    assert_int_equal(bind(a, 4, "more", label), ERR_LIMIT);
    assert_int_equal(bind(a, 4, "demo", label), ERR_OK);
    assert_int_equal(bind(b, 4, "", label), ERR_OK);
}

/* Writing fails from here on as on a full disk, or again not. */
static void set_disk_full(rlim_t bytes)
{
    struct rlimit limit;

    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_a_full_disk_takes_no_name_away(void **state)
{
    char label[NAME_MAX_LEN + 1], again[NAME_MAX_LEN + 1];

    (void)state;
    enrol_a_and_b();
    assert_int_equal(bind(a, 't', "", label), ERR_OK);
    set_disk_full(1);
    /* That it serves another target now cannot be noted; what of it. */
    assert_int_equal(bind(a, 'u', label, again), ERR_OK);
    assert_string_equal(again, label);
    assert_int_equal(bind(a, 't', "", again), ERR_OK);
    assert_string_equal(again, label);
    assert_int_equal(bind(a, 'n', "", again), ERR_STORE);
    set_disk_full(RLIM_INFINITY);
    assert_int_equal(bind(a, 'n', "", again), ERR_OK);
}

static void test_a_known_name_is_told_from_an_unknown_one(void **state)
{
    char label[NAME_MAX_LEN + 1];
    struct store_name n;

    (void)state;
    enrol_a_and_b();
    assert_int_equal(bind(a, 1, "demo", label), ERR_OK);
    assert_int_equal(store_name(s, span_text("demo"), &n), ERR_OK);
    assert_string_equal(n.key_name, "machine");
    assert_memory_equal(n.key, a, KEY_LEN);
    assert_int_equal(store_name(s, span_text("demo'"), &n), ERR_ABSENT);
}

static void test_the_operator_finds_a_key_by_name_or_beginning(void **state)
{
    struct store_key k;
    char text[KEY_TEXT_LEN];

    (void)state;
    assert_int_equal(store_redeem(s, invited('i', "one", 1), a, NOW), ERR_OK);
    assert_int_equal(store_redeem(s, invited('j', "two", 1), b, NOW), ERR_OK);
    assert_int_equal(store_redeem(s, invited('k', "two", 1), c, NOW), ERR_OK);
    assert_int_equal(store_key_find(s, "one", &k), ERR_OK);
    assert_memory_equal(k.key, a, KEY_LEN);
    assert_int_equal(store_key_find(s, "two", &k), ERR_LIMIT);
    assert_int_equal(store_key_find(s, "three", &k), ERR_ABSENT);
    keys_to_text(b, KEY_LEN, text, sizeof(text));
    assert_int_equal(store_key_find(s, text, &k), ERR_OK);
    assert_memory_equal(k.key, b, KEY_LEN);
    text[6] = '\0'; /* "key of" begins them all */
    assert_int_equal(store_key_find(s, text, &k), ERR_LIMIT);
    assert_int_equal(store_revoke(s, b, NOW), ERR_OK);
    assert_int_equal(store_key_find(s, "two", &k), ERR_OK);
    assert_memory_equal(k.key, c, KEY_LEN);
}

static void test_what_cannot_be_used_is_said_with_its_path(void **state)
{
    char path[96];
    FILE *file;

    (void)state;
    store_free(s);
    s = store_new();
    (void)snprintf(path, sizeof(path), "%s/relay.db", folder);
    file = fopen(path, "w");
    for (int i = 0; i < 1000; i++) {
        (void)fputs("no database\n", file);
    }
    (void)fclose(file);
    assert_int_equal(store_open(s, folder), ERR_STORE);
    assert_non_null(strstr(store_why(s), path));
    assert_non_null(strstr(store_why(s), "damaged"));
    store_free(s);
    s = store_new();
    assert_int_equal(store_open(s, path), ERR_STORE);
    assert_non_null(strstr(store_why(s), "Not a directory"));
}

static void test_files_are_the_users_own(void **state)
{
    char path[96];
    struct stat st;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s/deep/state", folder);
    store_free(s);
    s = store_new();
    assert_int_equal(store_open(s, path), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    (void)snprintf(path, sizeof(path), "%s/deep/state/relay.db", folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(store_audit(s, NOW, "login", "laptop"), ERR_OK);
}

#define WITH_STORE(test)                                                       \
    cmocka_unit_test_setup_teardown(test, open_store, close_store)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_an_invitation_enrols_as_many_as_it_says),
        WITH_STORE(test_every_useless_invitation_is_refused_alike),
        WITH_STORE(test_a_revoked_key_stays_out),
        WITH_STORE(test_the_same_target_gets_the_same_name_again),
        WITH_STORE(test_a_wanted_name_is_its_first_keys_for_ever),
        WITH_STORE(test_a_key_has_so_many_names_and_no_more),
        WITH_STORE(test_a_full_disk_takes_no_name_away),
        WITH_STORE(test_a_known_name_is_told_from_an_unknown_one),
        WITH_STORE(test_the_operator_finds_a_key_by_name_or_beginning),
        WITH_STORE(test_what_cannot_be_used_is_said_with_its_path),
        WITH_STORE(test_files_are_the_users_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
