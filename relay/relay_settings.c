/*
 * The relay's settings, see relay_settings.h: the table first, then what the
 * rows mean together.
 */
#include "relay/relay_settings.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/folders.h"
#include "common/invitation.h"
#include "proto/hostname.h"

#define RELAY_STATE_OF_ROOT "/var/lib/sallyport"
#define PORT_HTTPS 443u

#define ROW(field) offsetof(struct relay_settings, field)
/* A number of proto/limits.h as a default is written. */
#define NUMBER(limit) NUMBER_AS_TEXT(limit)
#define NUMBER_AS_TEXT(digits) #digits
#define TEXT(field) ROW(field), sizeof(((struct relay_settings *)0)->field)

/* clang-format off */
static const struct setting rows[] = {
    { "config", SETTING_TEXT, TEXT(config), NULL, 0, 0, "FILE",
      "Read this file instead of " RELAY_SETTINGS_FILE },
    { "domain", SETTING_TEXT, TEXT(domain), NULL, 0, 0, "DOMAIN",
      "Names are shared under it, such as t.example.com" },
    { "listen", SETTING_LIST, ROW(listen), 0, "0.0.0.0:443, [::]:443", 0, 0,
      "ADDRESS:PORT", "Accept visitors and clients here" },
    { "redirect-listen", SETTING_LIST, ROW(redirect_listen), 0, NULL, 0, 0,
      "ADDRESS:PORT", "Redirect plain http from here to https" },
    { "public-port", SETTING_COUNT, ROW(public_port), 0, "0", 0, 65535, "PORT",
      "Show this port in URLs; 0: that of the first `listen`" },
    { "invite-host", SETTING_TEXT, TEXT(invite_host), NULL, 0, 0, "HOST[:PORT]",
      "Clients connect to it; by default the domain" },
    { "state", SETTING_TEXT, TEXT(state), NULL, 0, 0, "FOLDER",
      "Keep key, store and local CA here; by default " RELAY_STATE_OF_ROOT
      " for root, else XDG_STATE_HOME/sallyport" },
    { "certs", SETTING_TEXT, TEXT(certs), NULL, 0, 0, "FOLDER",
      "Take certificates from the PEM pairs in this folder" },
    { "local-ca", SETTING_SWITCH, ROW(local_ca), 0, NULL, 0, 0, NULL,
      "Make a CA and certificate of our own, as always without `certs`" },
    { "grace", SETTING_DURATION, ROW(grace_us), 0, "45s",
      0, GRACE_MAX_US, NULL, "Keep a session whose link is lost this long" },
    { "wait", SETTING_DURATION, ROW(wait_us), 0, "10s",
      0, AWAY_WAIT_MAX_US, NULL, "Let requests wait so long for a lost link" },
    { "streams", SETTING_COUNT, ROW(streams_max), 0,
      NUMBER(STREAMS_MAX_DEFAULT),
      16, 65536, NULL, "Allow a client this many requests at once" },
    { "names", SETTING_COUNT, ROW(names_max), 0, "20", 1, 10000, NULL,
      "Allow a key this many names" },
    { "address-connections", SETTING_COUNT, ROW(address_connections), 0,
      NUMBER(ADDRESS_CONNECTIONS_MAX), 1, 1000000, NULL,
      "Connections of one visitor's address" },
    { "address-handshakes", SETTING_COUNT, ROW(address_handshakes), 0,
      NUMBER(ADDRESS_HANDSHAKES_MAX), 1, 100000, NULL,
      "Those of them still in their handshake" },
    { "address-rate", SETTING_COUNT, ROW(address_rate), 0,
      NUMBER(ADDRESS_RATE_PER_S), 1, 100000, NULL,
      "New ones a second of one address" },
    { "address-burst", SETTING_COUNT, ROW(address_burst), 0,
      NUMBER(ADDRESS_BURST), 1, 100000, NULL,
      "New ones at once of one address" },
    { "sandbox", SETTING_SWITCH, ROW(sandbox), 0, "true", 0, 0, NULL,
      "Reach nothing but state folder and certificates (Landlock, seccomp)" },
    { "log", SETTING_TEXT, TEXT(log), "info", 0, 0, "LEVEL",
      "Log up to error, warn, info or debug, to standard error" },
    { "expires", SETTING_DURATION, ROW(expires_us), 0, "24h",
      60 * US_PER_S, 365 * 86400 * US_PER_S, NULL,
      "invite: the invitation is good this long" },
    { "uses", SETTING_COUNT, ROW(uses), 0, "1", 1, INVITATION_USES_MAX, NULL,
      "invite: this many machines may use it" },
};
/* clang-format on */

static const char *const flags_only[] = { "config", "expires", "uses", NULL };

static const struct settings_table table = {
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .flags_only = flags_only,
};

static enum err wrong(struct settings_error *e, const char *name,
                      const char *value, const char *why)
{
    (void)snprintf(e->text, sizeof(e->text), "%s: \"%.200s\" %s", name, value,
                   why);
    return ERR_SETTINGS;
}

static enum err check_domain(struct relay_settings *s, struct settings_error *e)
{
    char domain[RELAY_DOMAIN_MAX];

    if (s->domain[0] == '\0') {
        (void)snprintf(e->text, sizeof(e->text),
                       "domain is not set: write `domain: t.example.com` into "
                       "%.200s, or give --domain",
                       s->config[0] != '\0' ? s->config : RELAY_SETTINGS_FILE);
        return ERR_SETTINGS;
    }
    if (hostname_normalise(span_text(s->domain), domain, sizeof(domain)) !=
            ERR_OK ||
        strchr(s->domain, ':') != NULL) {
        return wrong(e, "domain", s->domain, "is no domain name");
    }
    memcpy(s->domain, domain, sizeof(domain));
    return ERR_OK;
}

static enum err check_listen(const char *name, const struct setting_list *list,
                             struct settings_error *e)
{
    for (size_t i = 0; i < list->count; i++) {
        struct sockaddr_storage at;

        if (address_parse(list->items[i], &at) != ERR_OK) {
            return wrong(e, name, list->items[i],
                         "is no address and port such as 0.0.0.0:443 or "
                         "[::]:443");
        }
    }
    return ERR_OK;
}

static uint16_t port_of(const char *address)
{
    struct sockaddr_storage at;

    if (address_parse(address, &at) != ERR_OK) {
        return 0;
    }
    return ntohs(at.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)&at)->sin6_port
                     : ((const struct sockaddr_in *)&at)->sin_port);
}

static enum err check_ports(struct relay_settings *s, struct settings_error *e)
{
    if (s->listen.count == 0) {
        (void)snprintf(e->text, sizeof(e->text),
                       "listen is empty: one address and port must stand "
                       "there");
        return ERR_SETTINGS;
    }
    TRY(check_listen("listen", &s->listen, e));
    TRY(check_listen("redirect-listen", &s->redirect_listen, e));
    if (s->public_port == 0) {
        s->public_port = port_of(s->listen.items[0]);
    }
    return s->public_port != 0
               ? ERR_OK
               : wrong(e, "listen", s->listen.items[0],
                       "has port 0: then public-port must be set");
}

static enum err check_invite_host(struct relay_settings *s,
                                  struct settings_error *e)
{
    char host[INVITATION_HOST_MAX];
    uint16_t port;
    const char *given = s->invite_host[0] != '\0' ? s->invite_host : s->domain;

    if (address_split(span_text(given), (uint16_t)s->public_port, host,
                      sizeof(host), &port) != ERR_OK ||
        host[0] == '\0' || port == 0) {
        return wrong(e, "invite-host", given, "is no HOST or HOST:PORT");
    }
    (void)snprintf(s->invite_host, sizeof(s->invite_host),
                   strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
    return ERR_OK;
}

/* Make the path |path| of |size| bytes absolute: the relay may change folder,
 * and sentences name files by it. */
static enum err make_absolute(const char *name, char *path, size_t size,
                              struct settings_error *e)
{
    char here[RELAY_PATH_MAX], whole[2 * RELAY_PATH_MAX];

    if (path[0] == '\0' || path[0] == '/') {
        return ERR_OK;
    }
    if (getcwd(here, sizeof(here)) == NULL) {
        return wrong(e, name, path, "must begin with a slash");
    }
    (void)snprintf(whole, sizeof(whole), "%s/%s", here, path);
    if (strlen(whole) >= size) {
        return wrong(e, name, path, "is too long a path");
    }
    memcpy(path, whole, strlen(whole) + 1);
    return ERR_OK;
}

static enum err check_folders(struct relay_settings *s,
                              struct settings_error *e)
{
    if (s->state[0] == '\0' && geteuid() == 0) {
        (void)snprintf(s->state, sizeof(s->state), "%s", RELAY_STATE_OF_ROOT);
    } else if (s->state[0] == '\0' &&
               folders_state(s->state, sizeof(s->state)) != ERR_OK) {
        (void)snprintf(e->text, sizeof(e->text),
                       "state is not set, and HOME is not either: say where "
                       "with --state FOLDER");
        return ERR_SETTINGS;
    }
    TRY(make_absolute("state", s->state, sizeof(s->state), e));
    TRY(make_absolute("certs", s->certs, sizeof(s->certs), e));
    /* The names of files and sockets still have to fit behind it. */
    if (strlen(s->state) > 90) {
        return wrong(e, "state", s->state,
                     "is too long a path for a socket in it (at most 90 "
                     "bytes)");
    }
    s->local_ca = s->local_ca || s->certs[0] == '\0';
    return ERR_OK;
}

static enum err check_log(struct relay_settings *s, struct settings_error *e)
{
    static const char *const levels[] = { [LOG_ERROR] = "error",
                                          [LOG_WARN] = "warn",
                                          [LOG_INFO] = "info",
                                          [LOG_DEBUG] = "debug" };

    for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (strcmp(s->log, levels[i]) == 0) {
            s->log_level = (enum log_level)i;
            return ERR_OK;
        }
    }
    return wrong(e, "log", s->log, "is not error, warn, info or debug");
}

/* The file that --config names must be there; the usual one may be absent. */
static enum err read_file(struct relay_settings *s, struct settings_error *e)
{
    bool is_asked = s->config[0] != '\0';
    const char *path = is_asked ? s->config : RELAY_SETTINGS_FILE;
    enum err error = settings_read(&table, path, s, e);

    if (error == ERR_ABSENT) {
        return is_asked ? ERR_SETTINGS : ERR_OK;
    }
    if (error == ERR_OK && !is_asked) {
        (void)snprintf(s->config, sizeof(s->config), "%s", path);
    }
    return error;
}

enum err relay_settings_read(struct relay_settings *s,
                             struct settings_line *line,
                             struct settings_error *e)
{
    memset(s, 0, sizeof(*s));
    settings_defaults(&table, s);
    /* The flags say which file; then they win over it. */
    TRY(settings_flags(&table, line, s, e));
    TRY(read_file(s, e));
    TRY(settings_flags(&table, line, s, e));
    TRY(check_domain(s, e));
    TRY(check_ports(s, e));
    TRY(check_invite_host(s, e));
    TRY(check_folders(s, e));
    return check_log(s, e);
}

void relay_settings_help(FILE *out)
{
    settings_help(&table, out);
}

void relay_settings_print(const struct relay_settings *s, FILE *out)
{
    settings_print(&table, s, out);
}

void relay_settings_url(const struct relay_settings *s, const char *label,
                        char *out, size_t size)
{
    char port[16] = "";

    if (s->public_port != PORT_HTTPS) {
        (void)snprintf(port, sizeof(port), ":%" PRIu64, s->public_port);
    }
    (void)snprintf(out, size, "https://%s%s%s%s", label,
                   label[0] == '\0' ? "" : ".", s->domain, port);
}
