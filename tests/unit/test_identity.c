/* The machine's key and its relays, as files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "client/identity.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sallyport-test-XXXXXX");
    return mkdtemp(folder) == NULL || keys_start() != ERR_OK;
}

static int remove_folder(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static struct relay_pin pin(const char *host, uint8_t byte)
{
    struct relay_pin r = { .port = 443, .key_count = 1 };

    snprintf(r.host, sizeof(r.host), "%s", host);
    memset(r.keys[0], byte, KEY_LEN);
    return r;
}

static void test_nothing_there_is_no_error(void **state)
{
    struct identity_error e;
    struct identity id;

    (void)state;
    assert_int_equal(identity_load(&id, folder, &e), ERR_OK);
    assert_false(id.has_key);
    assert_int_equal(id.relay_count, 0);
    assert_null(identity_relay(&id, ""));
}

static void test_the_key_is_made_once_and_kept(void **state)
{
    struct identity_error e;
    struct identity id, again;

    (void)state;
    assert_int_equal(identity_load(&id, folder, &e), ERR_OK);
    assert_int_equal(identity_make_key(&id, &e), ERR_OK);
    assert_int_equal(identity_load(&again, folder, &e), ERR_OK);
    assert_true(again.has_key);
    assert_memory_equal(id.key.seed, again.key.seed, KEY_SEED_LEN);
}

static void test_a_key_others_can_read_is_refused(void **state)
{
    char path[100];
    struct identity_error e;
    struct identity id;

    (void)state;
    snprintf(path, sizeof(path), "%s/machine.key", folder);
    assert_int_equal(identity_load(&id, folder, &e), ERR_OK);
    assert_int_equal(identity_make_key(&id, &e), ERR_OK);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(identity_load(&id, folder, &e), ERR_FILE);
    assert_non_null(strstr(e.text, "machine.key"));
}

static void test_the_last_relay_is_the_first_choice(void **state)
{
    struct relay_pin a = pin("a.example", 1);
    struct relay_pin b = pin("b.example", 2);
    struct identity_error e;
    struct identity id;

    (void)state;
    assert_int_equal(identity_load(&id, folder, &e), ERR_OK);
    assert_int_equal(identity_make_key(&id, &e), ERR_OK);
    assert_int_equal(identity_pin(&id, &a, &e), ERR_OK);
    assert_int_equal(identity_pin(&id, &b, &e), ERR_OK);
    assert_int_equal(identity_load(&id, folder, &e), ERR_OK);
    assert_int_equal(id.relay_count, 2);
    assert_string_equal(identity_relay(&id, "")->host, "b.example");
    assert_string_equal(identity_relay(&id, "a.example:443")->host,
                        "a.example");
    assert_null(identity_relay(&id, "c.example"));
    assert_int_equal(identity_pin(&id, &a, &e), ERR_OK);
    assert_int_equal(id.relay_count, 2);
    assert_string_equal(identity_relay(&id, "")->host, "a.example");
}

static void test_tags_differ_by_target_and_by_machine(void **state)
{
    uint8_t one[TARGET_TAG_LEN], two[TARGET_TAG_LEN], same[TARGET_TAG_LEN];
    struct identity id = { .has_key = true };
    struct identity other = { .has_key = true };

    (void)state;
    keys_make(&id.key);
    keys_make(&other.key);
    identity_tag(&id, "http://localhost:1", one);
    identity_tag(&id, "http://localhost:2", two);
    identity_tag(&id, "http://localhost:1", same);
    assert_memory_equal(one, same, TARGET_TAG_LEN);
    assert_memory_not_equal(one, two, TARGET_TAG_LEN);
    identity_tag(&other, "http://localhost:1", same);
    assert_memory_not_equal(one, same, TARGET_TAG_LEN);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_there_is_no_error),
        TEST(test_the_key_is_made_once_and_kept),
        TEST(test_a_key_others_can_read_is_refused),
        TEST(test_the_last_relay_is_the_first_choice),
        TEST(test_tags_differ_by_target_and_by_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
