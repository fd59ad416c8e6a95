/*
 * Which fields pass between visitor and service: nothing a visitor says about
 * itself, everything else unchanged; cookies not above their own name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/http/fields.h"

static const struct fields_origin origin = { .address = "198.51.100.4",
                                             .host = "demo.t.test:8443",
                                             .port = "8443",
                                             .scheme = "https" };

static void add(struct head *h, const char *name, const char *value)
{
    assert_int_equal(head_add(h, span_text(name), span_text(value)), ERR_OK);
}

static void assert_field(const struct head *h, const char *name,
                         const char *value)
{
    size_t seen = 0;

    for (size_t i = 0; i < h->count; i++) {
        if (span_equal(h->fields[i].name, span_text(name))) {
            seen++;
            assert_true(span_equal(h->fields[i].value, span_text(value)));
        }
    }
    assert_int_equal(seen, 1);
}

static const char *const forged[] = {
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-email",
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
    "x-forwarded-anything-new",
    "x-real-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-original-host",
    "front-end-https",
    "proxy",
    "x-user-email",
    "x-auth-request-email",
    "tailscale-user-login",
    "tailscale-user-name",
    "cf-access-authenticated-user-email",
    "cf-access-jwt-assertion",
    "x-webauth-user",
    "remote-user",
    "x-remote-user",
    "x-goog-authenticated-user-email",
    "x-amzn-oidc-identity",
    "x-ms-client-principal",
    "x-ms-client-principal-name",
    "x_user_email",
    "content_length",
    "_",
};

#define FORGED (sizeof(forged) / sizeof(forged[0]))

static void test_what_a_visitor_says_about_itself_is_dropped(void **state)
{
    static struct head h;
    size_t dropped;

    (void)state;
    h.count = 0;
    for (size_t i = 0; i < FORGED; i++) {
        add(&h, forged[i], "forged");
    }
    assert_int_equal(fields_request(&h, &origin, &dropped), ERR_OK);
    assert_int_equal(dropped, FORGED);
    assert_int_equal(h.count, 5);
    assert_field(&h, "x-forwarded-for", "198.51.100.4");
    assert_field(&h, "x-real-ip", "198.51.100.4");
    assert_field(&h, "x-forwarded-proto", "https");
    assert_field(&h, "x-forwarded-host", "demo.t.test:8443");
    assert_field(&h, "x-forwarded-port", "8443");
}

static void test_all_other_fields_pass_in_order(void **state)
{
    static const char *const names[] = {
        "accept",     "cookie",    "authorization",
        "origin",     "x-api-key", "sec-websocket-extensions",
        "proxy-auth", "forward",   "x-forward",
        "if-match",   "via",       "expect",
    };
    static struct head h;
    size_t count = sizeof(names) / sizeof(names[0]);
    size_t dropped;

    (void)state;
    h.count = 0;
    for (size_t i = 0; i < count; i++) {
        add(&h, names[i], "v");
    }
    assert_int_equal(fields_request(&h, &origin, &dropped), ERR_OK);
    assert_int_equal(dropped, 0);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_equal(h.fields[i].name, span_text(names[i])));
    }
}

static void test_a_head_without_room_for_ours_is_refused(void **state)
{
    static struct head h;
    size_t dropped;

    (void)state;
    h.count = 0;
    for (size_t i = 0; i < HEAD_FIELDS_MAX - 4; i++) {
        add(&h, "a", "b");
    }
    assert_int_equal(fields_request(&h, &origin, &dropped), ERR_LIMIT);
}

static void test_the_client_drops_them_again_but_keeps_ours(void **state)
{
    static struct head h;

    (void)state;
    h.count = 0;
    add(&h, "x-forwarded-for", "198.51.100.4");
    add(&h, "x-forwarded-for", "10.0.0.1");
    add(&h, "x-forwarded-proto", "https");
    add(&h, "x-forwarded-email", "a@b");
    add(&h, "host", "evil");
    add(&h, "transfer-encoding", "chunked");
    add(&h, "upgrade", "h2c");
    add(&h, "x_real_ip", "1");
    add(&h, "accept", "a");
    fields_request_local(&h);
    assert_int_equal(h.count, 3);
    assert_field(&h, "x-forwarded-for", "198.51.100.4");
    assert_field(&h, "x-forwarded-proto", "https");
    assert_field(&h, "accept", "a");
}

struct cookie {
    const char *in, *out;
};

static const struct cookie cookies[] = {
    { "a=b", "a=b" },
    { "a=b; Path=/; HttpOnly", "a=b; Path=/; HttpOnly" },
    { "a=b; Domain=demo.t.test; Path=/", "a=b; Domain=demo.t.test; Path=/" },
    { "a=b; Domain=.demo.t.test", "a=b; Domain=.demo.t.test" },
    { "a=b; Domain=t.test; Path=/", "a=b; Path=/" },
    { "a=b; Domain=.t.test", "a=b" },
    { "a=b;domain=TEST;Secure", "a=b;Secure" },
    { "a=b; DOMAIN = \"t.test\" ; Secure", "a=b; Secure" },
    { "a=b; Domain=t.test.; Secure", "a=b; Secure" },
    { "a=b; Domain=t.test; Domain=test", "a=b" },
    { "a=b; Domain=mo.t.test", "a=b; Domain=mo.t.test" },
    { "a=b; Domain=other.test", "a=b; Domain=other.test" },
    { "a=b; Domain=", "a=b; Domain=" },
    { "a=b; Domain", "a=b; Domain" },
    { "Domain=t.test; Path=/", "Domain=t.test; Path=/" },
    { "", "" },
};

static void test_a_cookie_is_not_given_above_its_own_name(void **state)
{
    static uint8_t bytes[HEAD_MAX];
    static struct head h;

    (void)state;
    for (size_t i = 0; i < sizeof(cookies) / sizeof(cookies[0]); i++) {
        struct wire_writer w;

        wire_writer_init(&w, bytes, sizeof(bytes));
        h.count = 0;
        add(&h, "set-cookie", cookies[i].in);
        add(&h, "x-domain", "a; Domain=t.test");
        fields_response(&h, "demo.t.test", &w);
        assert_int_equal(h.count, 2);
        if (!span_equal(h.fields[0].value, span_text(cookies[i].out))) {
            fail_msg("%s became %.*s", cookies[i].in,
                     (int)h.fields[0].value.len,
                     (const char *)h.fields[0].value.data);
        }
        assert_field(&h, "x-domain", "a; Domain=t.test");
    }
}

static void test_several_cookies_are_each_narrowed(void **state)
{
    static uint8_t bytes[64];
    static struct head h;
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, bytes, sizeof(bytes));
    h.count = 0;
    add(&h, "set-cookie", "a=1; Domain=t.test");
    add(&h, "set-cookie", "b=2; Path=/");
    add(&h, "set-cookie", "c=3; Domain=t.test; Secure");
    fields_response(&h, "demo.t.test", &w);
    assert_int_equal(h.count, 3);
    assert_true(span_equal(h.fields[0].value, span_text("a=1")));
    assert_true(span_equal(h.fields[1].value, span_text("b=2; Path=/")));
    assert_true(span_equal(h.fields[2].value, span_text("c=3; Secure")));
}

static void test_a_wide_cookie_without_room_is_dropped(void **state)
{
    static uint8_t bytes[4];
    static struct head h;
    struct wire_writer w;

    (void)state;
    wire_writer_init(&w, bytes, sizeof(bytes));
    h.count = 0;
    add(&h, "set-cookie", "abcdef=1; Domain=t.test");
    add(&h, "date", "today");
    fields_response(&h, "demo.t.test", &w);
    assert_int_equal(h.count, 1);
    assert_field(&h, "date", "today");
}

static void test_trailers_neither_frame_route_nor_identify(void **state)
{
    static const char *const bad[] = {
        "content-length",
        "content-type",
        "transfer-encoding",
        "host",
        "connection",
        "set-cookie",
        "authorization",
        "trailer",
        "x-real-ip",
        "x-user-email",
        "if-none-match",
        "location",
        "x_y",
    };
    static struct head h;

    (void)state;
    h.count = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        add(&h, bad[i], "v");
    }
    add(&h, "grpc-status", "0");
    add(&h, "server-timing", "a");
    fields_trailers(&h);
    assert_int_equal(h.count, 2);
    assert_field(&h, "grpc-status", "0");
    assert_field(&h, "server-timing", "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_visitor_says_about_itself_is_dropped),
        cmocka_unit_test(test_all_other_fields_pass_in_order),
        cmocka_unit_test(test_a_head_without_room_for_ours_is_refused),
        cmocka_unit_test(test_the_client_drops_them_again_but_keeps_ours),
        cmocka_unit_test(test_a_cookie_is_not_given_above_its_own_name),
        cmocka_unit_test(test_several_cookies_are_each_narrowed),
        cmocka_unit_test(test_a_wide_cookie_without_room_is_dropped),
        cmocka_unit_test(test_trailers_neither_frame_route_nor_identify),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
