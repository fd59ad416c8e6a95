/* Keys, their files and what is refused of a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/keys.h"

static char folder[64];
static char path[96];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/test_keys-XXXXXX");
    if (keys_start() != ERR_OK || mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/new/key", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[96];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static void test_a_stored_key_loads_again(void **state)
{
    struct key_pair made, loaded;
    const char *why = NULL;
    struct stat st;

    (void)state;
    keys_make(&made);
    assert_int_equal(keys_load(path, &loaded, &why), ERR_ABSENT);
    assert_int_equal(keys_store(path, &made, &why), ERR_OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(keys_load(path, &loaded, &why), ERR_OK);
    assert_memory_equal(&made, &loaded, sizeof(made));
}

static void test_a_key_is_never_overwritten(void **state)
{
    struct key_pair first, second;
    const char *why = NULL;

    (void)state;
    keys_make(&first);
    keys_make(&second);
    assert_int_equal(keys_store(path, &first, &why), ERR_OK);
    assert_int_equal(keys_store(path, &second, &why), ERR_FILE);
    assert_string_equal(why, "File exists");
    assert_int_equal(keys_load(path, &second, &why), ERR_OK);
    assert_memory_equal(&first, &second, sizeof(first));
}

static void test_a_file_others_can_read_is_refused(void **state)
{
    static const mode_t modes[] = { 0640, 0604, 0620, 0601 };
    struct key_pair k;
    const char *why = NULL;

    (void)state;
    keys_make(&k);
    assert_int_equal(keys_store(path, &k, &why), ERR_OK);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(keys_load(path, &k, &why), ERR_FILE);
        assert_non_null(strstr(why, "others can read it"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(keys_load(path, &k, &why), ERR_OK);
}

static void test_links_and_folders_are_no_key_files(void **state)
{
    char link_path[112];
    struct key_pair k;
    const char *why = NULL;

    (void)state;
    keys_make(&k);
    assert_int_equal(keys_store(path, &k, &why), ERR_OK);
    (void)snprintf(link_path, sizeof(link_path), "%s/link", folder);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(keys_load(link_path, &k, &why), ERR_FILE);
    assert_string_equal(why, "it is a symbolic link");
    assert_int_equal(keys_load(folder, &k, &why), ERR_FILE);
    assert_string_equal(why, "it is no regular file");
}

static void test_a_file_without_a_whole_key_is_refused(void **state)
{
    char text[128];
    struct key_pair k;
    const char *why = NULL;
    FILE *file;
    size_t len;

    (void)state;
    keys_make(&k);
    assert_int_equal(keys_store(path, &k, &why), ERR_OK);
    file = fopen(path, "r");
    len = fread(text, 1, sizeof(text), file);
    (void)fclose(file);
    for (size_t cut = 0; cut < len - 1; cut++) {
        file = fopen(path, "w");
        (void)fwrite(text, 1, cut, file);
        (void)fclose(file);
        assert_int_equal(keys_load(path, &k, &why), ERR_FILE);
        assert_string_equal(why, "it holds no key of ours");
    }
}

static void test_a_signature_holds_for_its_message_and_key_only(void **state)
{
    uint8_t message[] = "sallyport/1 client";
    uint8_t signature[SIGNATURE_LEN];
    struct key_pair k, other;

    (void)state;
    keys_make(&k);
    keys_make(&other);
    keys_sign(&k, span_of(message, sizeof(message)), signature);
    assert_true(keys_verify(k.public_key, span_of(message, sizeof(message)),
                            signature));
    assert_false(keys_verify(other.public_key,
                             span_of(message, sizeof(message)), signature));
    message[3] ^= 1;
    assert_false(keys_verify(k.public_key, span_of(message, sizeof(message)),
                             signature));
    message[3] ^= 1;
    signature[63] ^= 1;
    assert_false(keys_verify(k.public_key, span_of(message, sizeof(message)),
                             signature));
}

static void test_text_of_a_key_comes_back_or_is_refused(void **state)
{
    uint8_t bytes[KEY_LEN];
    char text[KEY_TEXT_LEN];
    struct key_pair k;

    (void)state;
    keys_make(&k);
    keys_to_text(k.public_key, KEY_LEN, text, sizeof(text));
    assert_int_equal(strlen(text), KEY_TEXT_LEN - 1);
    assert_int_equal(keys_from_text(span_text(text), bytes, KEY_LEN), ERR_OK);
    assert_memory_equal(bytes, k.public_key, KEY_LEN);
    assert_int_equal(keys_from_text(span_of(text, 42), bytes, KEY_LEN),
                     ERR_SETTINGS);
    text[7] = '!';
    assert_int_equal(keys_from_text(span_text(text), bytes, KEY_LEN),
                     ERR_SETTINGS);
    assert_int_equal(keys_from_text(span_text(""), bytes, KEY_LEN),
                     ERR_SETTINGS);
}

static void test_a_keyed_hash_depends_on_its_key(void **state)
{
    uint8_t key[KEY_LEN] = { 1 };
    uint8_t plain[HASH_LEN], keyed[HASH_LEN];

    (void)state;
    keys_hash(span_text("target"), NULL, plain);
    keys_hash(span_text("target"), key, keyed);
    assert_false(keys_same(plain, keyed, HASH_LEN));
    keys_hash(span_text("target"), NULL, keyed);
    assert_true(keys_same(plain, keyed, HASH_LEN));
}

#define WITH_FOLDER(test)                                                      \
    cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FOLDER(test_a_stored_key_loads_again),
        WITH_FOLDER(test_a_key_is_never_overwritten),
        WITH_FOLDER(test_a_file_others_can_read_is_refused),
        WITH_FOLDER(test_links_and_folders_are_no_key_files),
        WITH_FOLDER(test_a_file_without_a_whole_key_is_refused),
        cmocka_unit_test(test_a_signature_holds_for_its_message_and_key_only),
        cmocka_unit_test(test_text_of_a_key_comes_back_or_is_refused),
        cmocka_unit_test(test_a_keyed_hash_depends_on_its_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
