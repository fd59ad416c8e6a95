/* The local CA: made once, for one base domain, and never a risk to others. */
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
#include <openssl/x509.h>

#include "common/keys.h"
#include "common/log.h"
#include "relay/issuer.h"
#include "relay/local_ca.h"

#define BASE "t.example.com"
#define NOW 1800000000
#define DAY 86400

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/test_local_ca-XXXXXX");
    log_set_level(LOG_ERROR);
    return keys_start() != ERR_OK || mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[96];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

/* What is in the file |name| of the folder. */
static const char *content(const char *name)
{
    static char text[2][8192];
    static unsigned turn;
    char path[128];
    char *out = text[turn++ % 2];
    FILE *file;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "r");
    assert_non_null(file);
    len = fread(out, 1, sizeof(text[0]) - 1, file);
    out[len] = '\0';
    (void)fclose(file);
    return out;
}

static void chmod_in(const char *name, mode_t mode)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_what_is_made_is_kept(void **state)
{
    struct local_ca ca;
    char before[8192];

    (void)state;
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    assert_true(ca.is_new_ca && ca.is_new_leaf);
    (void)snprintf(before, sizeof(before), "%s%s", content("local-ca.pem"),
                   content("local/base.pem"));
    assert_int_equal(local_ca_ensure(folder, BASE, NOW + DAY, &ca), ERR_OK);
    assert_false(ca.is_new_ca || ca.is_new_leaf);
    assert_ptr_equal(strstr(before, content("local-ca.pem")), before);
    assert_non_null(strstr(before, content("local/base.pem")));
}

static void test_keys_are_the_users_own(void **state)
{
    static const char *const secrets[] = { "local-ca.key", "local/base.pem" };
    struct local_ca ca;
    struct stat st;
    char path[128];

    (void)state;
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, secrets[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_null(strstr(content("local-ca.pem"), "PRIVATE"));
    chmod_in("local-ca.key", 0644);
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_FILE);
    assert_non_null(strstr(ca.why, "others can read this key"));
}

static void test_the_certificate_is_renewed_under_a_third(void **state)
{
    struct local_ca ca;
    int64_t third = ISSUER_LEAF_DAYS * DAY / 3;
    char before[8192];

    (void)state;
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    (void)snprintf(before, sizeof(before), "%s", content("local-ca.pem"));
    assert_int_equal(
        local_ca_ensure(folder, BASE, NOW + 2 * third - 2 * DAY, &ca), ERR_OK);
    assert_false(ca.is_new_leaf);
    assert_int_equal(local_ca_ensure(folder, BASE, NOW + 2 * third, &ca),
                     ERR_OK);
    assert_true(ca.is_new_leaf && !ca.is_new_ca);
    assert_string_equal(before, content("local-ca.pem"));
}

static void test_a_clock_that_was_set_back_stops_nothing(void **state)
{
    struct local_ca ca;
    char before[8192];

    (void)state;
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    (void)snprintf(before, sizeof(before), "%s", content("local-ca.pem"));
    assert_int_equal(local_ca_ensure(folder, BASE, NOW - 366 * DAY, &ca),
                     ERR_OK);
    assert_true(ca.is_new_leaf && !ca.is_new_ca);
    assert_string_equal(before, content("local-ca.pem"));
}

static void test_a_broken_certificate_is_made_anew(void **state)
{
    struct local_ca ca;
    char path[128];
    FILE *file;

    (void)state;
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    (void)snprintf(path, sizeof(path), "%s/local/base.pem", folder);
    file = fopen(path, "w");
    (void)fputs("broken", file);
    (void)fclose(file);
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    assert_true(ca.is_new_leaf && !ca.is_new_ca);
}

static void test_a_ca_for_another_domain_is_not_replaced(void **state)
{
    struct local_ca ca;
    char before[8192];

    (void)state;
    assert_int_equal(local_ca_ensure(folder, BASE, NOW, &ca), ERR_OK);
    (void)snprintf(before, sizeof(before), "%s", content("local-ca.pem"));
    assert_int_equal(local_ca_ensure(folder, "example.com", NOW, &ca),
                     ERR_FILE);
    assert_non_null(strstr(ca.why, "it is for another domain"));
    assert_string_equal(before, content("local-ca.pem"));
}

static bool can_verify(const struct issuer_pair *ca, X509 *leaf,
                       const char *host)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *wanted;
    bool is_good;

    assert_int_equal(X509_STORE_add_cert(store, ca->cert), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, leaf, NULL), 1);
    wanted = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time_posix(wanted, NOW);
    assert_int_equal(X509_VERIFY_PARAM_set1_host(wanted, host, strlen(host)),
                     1);
    is_good = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return is_good;
}

static void test_the_chain_verifies_for_the_base_alone(void **state)
{
    struct issuer_pair ca, leaf, other;

    (void)state;
    assert_int_equal(issuer_make_ca(BASE, NOW, &ca), ERR_OK);
    assert_int_equal(issuer_make_leaf(&ca, BASE, NOW, &leaf), ERR_OK);
    assert_true(can_verify(&ca, leaf.cert, "demo." BASE));
    assert_true(can_verify(&ca, leaf.cert, BASE));
    assert_false(can_verify(&ca, leaf.cert, "demo.example.com"));
    /* Whoever has the CA's key still cannot speak for another domain. */
    assert_int_equal(issuer_make_leaf(&ca, "bank.example", NOW, &other),
                     ERR_OK);
    assert_false(can_verify(&ca, other.cert, "bank.example"));
    assert_true(issuer_leaf_holds(&ca, &leaf, BASE, NOW));
    assert_false(issuer_leaf_holds(&ca, &leaf, "example.com", NOW));
    assert_false(issuer_leaf_holds(&leaf, &leaf, BASE, NOW));
    issuer_pair_wipe(&ca);
    issuer_pair_wipe(&leaf);
    issuer_pair_wipe(&other);
}

static void test_a_long_domain_is_fine(void **state)
{
    char base[190];
    struct issuer_pair ca, leaf;

    (void)state;
    for (size_t i = 0; i < sizeof(base) - 1; i++) {
        base[i] = i % 40 == 39 ? '.' : 'a';
    }
    base[sizeof(base) - 1] = '\0';
    assert_int_equal(issuer_make_ca(base, NOW, &ca), ERR_OK);
    assert_int_equal(issuer_make_leaf(&ca, base, NOW, &leaf), ERR_OK);
    assert_true(can_verify(&ca, leaf.cert, base));
    issuer_pair_wipe(&ca);
    issuer_pair_wipe(&leaf);
}

#define WITH_FOLDER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_what_is_made_is_kept),
        WITH_FOLDER(test_keys_are_the_users_own),
        WITH_FOLDER(test_the_certificate_is_renewed_under_a_third),
        WITH_FOLDER(test_a_clock_that_was_set_back_stops_nothing),
        WITH_FOLDER(test_a_broken_certificate_is_made_anew),
        WITH_FOLDER(test_a_ca_for_another_domain_is_not_replaced),
        cmocka_unit_test(test_the_chain_verifies_for_the_base_alone),
        cmocka_unit_test(test_a_long_domain_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
