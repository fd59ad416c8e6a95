/*
 * The rows, and what the client's own words mean. `name` and `host-header` as
 * flags belong to `sallyport http`; in the file they stand in `tunnels:`.
 */
#include "client/client_settings.h"

#include <stdlib.h>
#include <string.h>

#include "common/folders.h"

#define ROW(field) offsetof(struct client_settings, field)
#define TEXT(field) ROW(field), sizeof(((struct client_settings *)0)->field)
#define ITEM(field)                                                            \
    offsetof(struct tunnel_settings, field),                                   \
        sizeof(((struct tunnel_settings *)0)->field)

/* clang-format off */
static const struct setting rows[] = {
    { "relay", SETTING_TEXT, TEXT(relay), "", 0, 0, "HOST[:PORT]",
      "which relay, when this machine was invited to several" },
    { "name", SETTING_TEXT, TEXT(name), "", 0, 0, "LABEL",
      "ask for this name instead of a generated one" },
    { "host-header", SETTING_TEXT, TEXT(host_header), "", 0, 0, "HOST",
      "what the service sees as Host: `rewrite` for its own address; "
      "by default the public name" },
    { "insecure-target", SETTING_SWITCH, ROW(insecure_target), 0, "false",
      0, 0, NULL, "do not check the certificate of an https:// target" },
    { "target-ca", SETTING_TEXT, TEXT(target_ca), "", 0, 0, "FILE",
      "check https:// targets against the certificates in this PEM file" },
    { "json", SETTING_SWITCH, ROW(json), 0, "false", 0, 0, NULL,
      "print one JSON object a line" },
    { "qr", SETTING_SWITCH, ROW(qr), 0, "true", 0, 0, NULL,
      "show the URL as a QR code when the output is a terminal" },
    { "probe", SETTING_SWITCH, ROW(probe), 0, "true", 0, 0, NULL,
      "look whether the service listens and asks for a login" },
    { "single-link", SETTING_SWITCH, ROW(single_link), 0, "false", 0, 0, NULL,
      "one connection to the relay for all, no second one for downloads" },
    { "state", SETTING_TEXT, TEXT(state), "", 0, 0, "FOLDER",
      "where the machine's key and the relays are kept; by default "
      "~/.local/state/sallyport" },
    { "sandbox", SETTING_SWITCH, ROW(sandbox), 0, "true", 0, 0, NULL,
      "reach nothing but the relay, the targets and the state folder "
      "(Landlock, seccomp)" },
    { "log", SETTING_TEXT, TEXT(log), "warn", 0, 0, "LEVEL",
      "what is logged to standard error: error, warn, info or debug" },
};

static const struct setting item_rows[] = {
    { "target", SETTING_TEXT, ITEM(target), "", 0, 0, "TARGET",
      "PORT, HOST:PORT or URL of the service" },
    { "name", SETTING_TEXT, ITEM(name), "", 0, 0, "LABEL",
      "ask for this name instead of a generated one" },
    { "host-header", SETTING_TEXT, ITEM(host_header), "", 0, 0, "HOST",
      "what the service sees as Host" },
};
/* clang-format on */

static const struct settings_table items = {
    .rows = item_rows,
    .count = sizeof(item_rows) / sizeof(item_rows[0]),
};

static enum err on_item(void *settings, const char *key, const void *item,
                        struct settings_error *e)
{
    struct client_settings *s = settings;
    struct tunnel_settings *t;

    if (s->tunnel_count == TUNNELS_MAX ||
        strlen(key) >= sizeof(s->tunnels[0].key)) {
        (void)snprintf(e->text, sizeof(e->text),
                       "%s: at most %u tunnels, "
                       "with keys under %zu bytes",
                       key, TUNNELS_MAX, sizeof(s->tunnels[0].key));
        return ERR_SETTINGS;
    }
    t = &s->tunnels[s->tunnel_count++];
    *t = *(const struct tunnel_settings *)item;
    memcpy(t->key, key, strlen(key) + 1);
    return ERR_OK;
}

/* In the file these stand under each tunnel. */
static const char *const flags_only[] = { "name", "host-header", NULL };

static const struct settings_table table = {
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .flags_only = flags_only,
    .map_key = "tunnels",
    .item_table = &items,
    .item_size = sizeof(struct tunnel_settings),
    .on_item = on_item,
};

/* Take --config FILE out of the line; NULL when it is not there, "" when its
 * value is not. */
static const char *take_config(struct settings_line *line)
{
    static const char flag[] = "--config";
    const char *path = NULL;
    int kept = 1;

    for (int i = 1; i < line->argc; i++) {
        const char *arg = line->argv[i];

        if (strcmp(arg, flag) == 0) {
            path = i + 1 < line->argc ? line->argv[++i] : "";
        } else if (strncmp(arg, "--config=", 9) == 0) {
            path = arg + 9;
        } else {
            line->argv[kept++] = line->argv[i];
        }
    }
    line->argc = kept;
    return path;
}

static enum err read_file(struct client_settings *s, const char *path,
                          struct settings_error *e)
{
    char folder[FOLDERS_PATH_MAX];
    char usual[FOLDERS_PATH_MAX];
    enum err err;

    if (path != NULL && path[0] == '\0') {
        snprintf(e->text, sizeof(e->text), "--config: a value must follow");
        return ERR_SETTINGS;
    }
    if (path != NULL) {
        err = settings_read(&table, path, s, e);
        if (err == ERR_ABSENT) {
            snprintf(e->text, sizeof(e->text), "%.400s: no such file", path);
            return ERR_FILE;
        }
        return err;
    }
    if (folders_config(folder, sizeof(folder)) != ERR_OK ||
        folders_join(folder, "config.yaml", usual, sizeof(usual)) != ERR_OK) {
        return ERR_OK;
    }
    err = settings_read(&table, usual, s, e);
    return err == ERR_ABSENT ? ERR_OK : err;
}

static enum err check_level(struct client_settings *s, struct settings_error *e)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(s->log, names[i]) == 0) {
            s->log_level = (enum log_level)i;
            return ERR_OK;
        }
    }
    snprintf(e->text, sizeof(e->text),
             "log: \"%s\" is no level; it is error, warn, info or debug",
             s->log);
    return ERR_SETTINGS;
}

enum err client_settings_read(struct client_settings *s,
                              struct settings_line *line,
                              struct settings_error *e)
{
    const char *path = take_config(line);

    memset(s, 0, sizeof(*s));
    e->text[0] = '\0';
    settings_defaults(&table, s);
    TRY(read_file(s, path, e));
    TRY(settings_flags(&table, line, s, e));
    return check_level(s, e);
}

void client_settings_help(FILE *out)
{
    settings_help(&table, out);
    settings_help_line("--config FILE",
                       "settings file; the usual one is "
                       "~/.config/sallyport/config.yaml",
                       out);
}
