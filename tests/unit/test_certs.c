/* Certificates by server name, and what a changed or broken file does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>

#include "common/clock.h"
#include "common/keys.h"
#include "common/log.h"
#include "relay/certs.h"
#include "relay/issuer.h"

static char folder[64];
static struct certs *certs;

static int open_certs(void **state)
{
    const char *folders[2] = { folder, "" };

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/test_certs-XXXXXX");
    if (keys_start() != ERR_OK || mkdtemp(folder) == NULL) {
        return -1;
    }
    /* Refusals are what is tested here: their lines are not for the eye. */
    log_set_fd(-1);
    certs = certs_new(folders, 2);
    return certs == NULL;
}

static int close_certs(void **state)
{
    char command[96];

    (void)state;
    certs_free(certs);
    log_set_fd(STDERR_FILENO);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static const char *path_of(const char *name)
{
    static char path[2][160];
    static unsigned turn;
    char *out = path[turn++ % 2];

    (void)snprintf(out, sizeof(path[0]), "%s/%s", folder, name);
    return out;
}

/* Write a certificate for |base| and *.|base| that ends |later_s| after the
 * usual time; the key into |key_name|, or into the same file (NULL). */
static void put(const char *name, const char *key_name, const char *base,
                int64_t later_s)
{
    struct issuer_pair ca, leaf;
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    assert_int_equal(issuer_make_ca(base, clock_wall_s(), &ca), ERR_OK);
    assert_int_equal(
        issuer_make_leaf(&ca, base, clock_wall_s() + later_s, &leaf), ERR_OK);
    assert_int_equal(PEM_write_X509(file, leaf.cert), 1);
    if (key_name != NULL) {
        (void)fclose(file);
        file = fopen(path_of(key_name), "w");
        assert_non_null(file);
    }
    assert_int_equal(
        PEM_write_PrivateKey(file, leaf.key, NULL, NULL, 0, NULL, NULL), 1);
    (void)fclose(file);
    issuer_pair_wipe(&ca);
    issuer_pair_wipe(&leaf);
}

static void put_text(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void test_each_way_to_keep_a_pair_is_found(void **state)
{
    (void)state;
    put("one.pem", NULL, "one.test", 0);
    put("two.crt", "two.key", "two.test", 0);
    put("three.pem", "three.key", "three.test", 0);
    assert_int_equal(mkdir(path_of("four"), 0700), 0);
    put("four/fullchain.pem", "four/privkey.pem", "four.test", 0);
    put_text("README", "nothing of ours");
    certs_refresh(certs);
    assert_int_equal(certs_count(certs), 4);
    assert_non_null(certs_find(certs, "one.test"));
    assert_non_null(certs_find(certs, "a.two.test"));
    assert_non_null(certs_find(certs, "a.three.test"));
    assert_non_null(certs_find(certs, "a.four.test"));
}

static void test_a_folder_of_certbots_is_one_pair(void **state)
{
    (void)state;
    put("fullchain.pem", "privkey.pem", "one.test", 0);
    put_text("cert.pem", "the leaf alone");
    put_text("chain.pem", "the chain alone");
    certs_refresh(certs);
    assert_int_equal(certs_count(certs), 1);
    assert_non_null(certs_find(certs, "x.one.test"));
}

static void test_exact_is_before_wildcard_and_one_label_deep(void **state)
{
    struct tls_context *wide, *narrow;

    (void)state;
    put("wide.pem", NULL, "base.test", 0);
    put("narrow.pem", NULL, "a.base.test", 0);
    certs_refresh(certs);
    wide = certs_find(certs, "b.base.test");
    narrow = certs_find(certs, "a.base.test");
    assert_non_null(wide);
    assert_non_null(narrow);
    assert_ptr_not_equal(wide, narrow);
    assert_ptr_equal(certs_find(certs, "base.test"), wide);
    assert_ptr_equal(certs_find(certs, "x.a.base.test"), narrow);
    assert_null(certs_find(certs, "x.b.base.test"));
    assert_null(certs_find(certs, "test"));
    assert_null(certs_find(certs, ""));
    assert_null(certs_find(certs, ".base.test"));
}

static void test_the_one_that_ends_last_is_taken(void **state)
{
    struct tls_context *first;

    (void)state;
    put("a.pem", NULL, "base.test", -86400);
    certs_refresh(certs);
    first = certs_find(certs, "base.test");
    put("b.pem", NULL, "base.test", 0);
    certs_refresh(certs);
    assert_ptr_not_equal(certs_find(certs, "base.test"), first);
    assert_int_equal(unlink(path_of("b.pem")), 0);
    certs_refresh(certs);
    assert_ptr_equal(certs_find(certs, "base.test"), first);
}

static void test_a_changed_file_is_read_again_and_no_other(void **state)
{
    struct tls_context *two;

    (void)state;
    put("one.pem", NULL, "one.test", 0);
    put("two.pem", NULL, "two.test", 0);
    certs_refresh(certs);

    two = certs_find(certs, "two.test");
    put("new.pem", NULL, "uno.test", 0);
    assert_int_equal(rename(path_of("new.pem"), path_of("one.pem")), 0);
    certs_refresh(certs);
    assert_null(certs_find(certs, "one.test"));
    assert_non_null(certs_find(certs, "uno.test"));
    assert_ptr_equal(certs_find(certs, "two.test"), two);
}

static void test_a_broken_file_leaves_the_old_one_in_use(void **state)
{
    struct tls_context *before;

    (void)state;
    put("one.pem", NULL, "one.test", 0);
    certs_refresh(certs);
    before = certs_find(certs, "one.test");
    put_text("one.pem", "-----BEGIN CERTIFICATE-----\nbroken\n");
    certs_refresh(certs);
    assert_ptr_equal(certs_find(certs, "one.test"), before);
    put("one.pem", NULL, "one.test", 0);
    certs_refresh(certs);
    assert_non_null(certs_find(certs, "one.test"));
    assert_int_equal(unlink(path_of("one.pem")), 0);
    certs_refresh(certs);
    assert_null(certs_find(certs, "one.test"));
}

static void test_a_key_of_another_certificate_is_refused(void **state)
{
    (void)state;
    put("one.crt", "one.key", "one.test", 0);
    put("two.crt", "one.key", "two.test", 0);
    put_text("three.crt", "no key beside it");
    certs_refresh(certs);
    assert_null(certs_find(certs, "one.test"));
    assert_int_equal(certs_count(certs), 0);
}

static void test_a_folder_that_goes_away_changes_nothing(void **state)
{
    char away[96];

    (void)state;
    put("one.pem", NULL, "one.test", 0);
    certs_refresh(certs);
    (void)snprintf(away, sizeof(away), "%s.away", folder);
    assert_int_equal(rename(folder, away), 0);
    certs_refresh(certs);
    assert_non_null(certs_find(certs, "one.test"));
    assert_int_equal(rename(away, folder), 0);
    certs_refresh(certs);
    assert_int_equal(certs_count(certs), 1);
}

#define WITH_CERTS(test)                                                       \
    cmocka_unit_test_setup_teardown(test, open_certs, close_certs)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CERTS(test_each_way_to_keep_a_pair_is_found),
        WITH_CERTS(test_a_folder_of_certbots_is_one_pair),
        WITH_CERTS(test_exact_is_before_wildcard_and_one_label_deep),
        WITH_CERTS(test_the_one_that_ends_last_is_taken),
        WITH_CERTS(test_a_changed_file_is_read_again_and_no_other),
        WITH_CERTS(test_a_broken_file_leaves_the_old_one_in_use),
        WITH_CERTS(test_a_key_of_another_certificate_is_refused),
        WITH_CERTS(test_a_folder_that_goes_away_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
