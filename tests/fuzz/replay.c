/*
 * Runs every file of the given corpus folders through a fuzz target, so that
 * what the fuzzer once found stays an ordinary test in every build. Not a
 * fuzzer: it invents no input. An empty or missing folder is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_MAX = 1 << 20 };

/* Give one file to the target, in memory of just its size. */
static int replay_file(const char *path)
{
    static uint8_t input[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    uint8_t *exact;
    size_t len;

    if (file == NULL) {
        perror(path);
        return -1;
    }
    len = fread(input, 1, sizeof(input), file);
    fclose(file);

    /* A read past the end of |exact| is what AddressSanitizer sees. */
    exact = malloc(len > 0 ? len : 1);
    if (exact == NULL) {
        perror(path);
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        exact[i] = input[i];
    }
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return 0;
}

/* Give every file of |folder| to the target; how many, or -1. */
static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int count = 0;

    if (dir == NULL) {
        perror(folder);
        return -1;
    }
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];
        int len;

        if (entry->d_name[0] == '.') {
            continue;
        }
        len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path) || replay_file(path) != 0) {
            closedir(dir);
            return -1;
        }
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);

        if (count < 0) {
            return 1;
        }
        total += count;
    }
    printf("%d inputs replayed\n", total);
    return total > 0 ? 0 : 1;
}
