/*
 * No signature is looked at for an address that failed too often, unless its
 * key is known, and no answer says more than its asker may know.
 */
#include "relay/admission.h"

#include "common/clock.h"
#include "common/log.h"
#include "relay/relay_settings.h"
#include "relay/store.h"
#include "relay/worker.h"

/* Every invitation that cannot be redeemed gets this one answer: nobody may
 * learn which ones there are. */
static const char invitation_no[] =
    "the invitation is wrong, used up or expired; ask the relay's operator for "
    "a new one";

static bool signature_fits(const struct login_binding *b,
                           void (*message)(struct wire_writer *,
                                           const struct login_binding *),
                           const uint8_t *key, const uint8_t *signature)
{
    uint8_t bytes[LOGIN_MESSAGE_MAX];
    struct wire_writer w;

    wire_writer_init(&w, bytes, sizeof(bytes));
    message(&w, b);
    assert(wire_writer_done(&w));
    return keys_verify(key, wire_written(&w), signature);
}

static enum err store_failed(struct worker *w, struct admission_refusal *why)
{
    LOG(LOG_ERROR, "store-failed", log_text("why", store_why(w->store)));
    *why = (struct admission_refusal){
        ERR_LIMIT, "the relay cannot use its store (a full disk?); its log "
                   "says more, tell its operator"
    };
    return ERR_STORE;
}

static enum err no(struct admission_refusal *why, enum err code,
                   const char *sentence)
{
    *why = (struct admission_refusal){ code, sentence };
    return code;
}

/* An unknown key: it needs an invitation. */
static enum err enrol(struct worker *w, const struct login *l,
                      const struct login_binding *b,
                      struct admission_refusal *why)
{
    enum err e;

    if (!l->is_enrolling) {
        return no(why, ERR_AUTH,
                  "this relay does not know this machine's key; ask its "
                  "operator for an invitation and run `sallyport login`");
    }
    if (!signature_fits(b, login_enrol_message, l->enrol_key,
                        l->enrol_signature)) {
        return no(why, ERR_AUTH, invitation_no);
    }
    e = store_redeem(w->store, l->enrol_key, l->client_key, clock_wall_s());
    if (e == ERR_AUTH) {
        return no(why, ERR_AUTH, invitation_no);
    }
    if (e == ERR_REVOKED) {
        return no(why, ERR_REVOKED, "this machine's key was revoked");
    }
    return e == ERR_OK ? ERR_OK : store_failed(w, why);
}

enum err admission_judge(struct worker *w, struct quota_hold *hold,
                         const struct login *l, const struct login_binding *b,
                         struct admission_refusal *why)
{
    struct store_key known;
    enum err e;

    if (l->minor_min > LOGIN_MINOR || l->minor_max < l->minor_min) {
        return no(why, ERR_VERSION,
                  "this relay is older than the client; update one of them");
    }
    if (drain_is_on(w)) {
        return no(why, ERR_SHUTDOWN, "the relay is shutting down");
    }
    e = store_key(w->store, l->client_key, &known);
    if (e != ERR_OK && e != ERR_AUTH && e != ERR_REVOKED) {
        return store_failed(w, why);
    }
    /* Known keys are heard in any case: somebody else behind the same address
     * must not lock them out. */
    if (e != ERR_OK && quota_login_wait_us(hold, loop_now(&w->loop)) > 0) {
        return no(why, ERR_LIMIT,
                  "too many failed logins from this address; wait and try "
                  "again");
    }
    if (!signature_fits(b, login_client_message, l->client_key, l->signature)) {
        return no(why, ERR_BINDING,
                  "the signature is not for this connection: something "
                  "between client and relay ends the TLS, or the client has "
                  "another relay's key");
    }
    if (e == ERR_REVOKED) {
        return no(why, ERR_REVOKED, "this machine's key was revoked");
    }
    return e == ERR_OK ? ERR_OK : enrol(w, l, b, why);
}
