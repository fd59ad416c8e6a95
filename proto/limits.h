/*
 * Every bound on memory, count and time of the protocol and of the programs
 * around it, with the relations between them asserted. PROTOCOL.md section
 * "Limits" and the settings' defaults say the same numbers.
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <stdint.h>

#ifdef NDEBUG
#error "assertions are part of the program: do not define NDEBUG"
#endif

#define KIB 1024u
#define MIB (1024u * 1024u)
#define US_PER_MS 1000ull
#define US_PER_S 1000000ull

/* Frames: header and payload fill one TLS record exactly. */
#define FRAME_HEADER_LEN 8u
#define FRAME_PAYLOAD_MAX 16376u
#define FRAME_MAX (FRAME_HEADER_LEN + FRAME_PAYLOAD_MAX)
#define TLS_RECORD_MAX 16384u

/* Heads: the bytes of one encoded or received block. */
#define HEAD_MAX (64u * KIB)
#define HEAD_FIELDS_MAX 100u
#define HEAD_TARGET_MAX (16u * KIB)
#define TRAILERS_MAX (8u * KIB)
#define CHUNK_LINE_MAX 256u

/* Identities on the wire. */
#define KEY_LEN 32u
#define SIGNATURE_LEN 64u
#define EXPORTER_LEN 32u
#define HASH_LEN 32u
#define SESSION_ID_LEN 16u
#define TARGET_TAG_LEN 16u

/* Texts in frames. */
#define NAME_MAX_LEN 63u
#define URL_MAX_LEN 300u
#define SENTENCE_MAX_LEN 255u
#define SOFTWARE_MAX_LEN 64u

/* Windows of a stream. */
#define WINDOW_FIRST (256u * KIB)
#define WINDOW_MAX (16u * MIB)
#define WINDOW_LOW_FRAMES 2u
#define WINDOW_LOW_CONSUMED (4u * KIB)
#define WINDOW_FIRST_OVER_HALF (64u * KIB)
#define WINDOW_FIRST_OVER_THREE_QUARTERS (16u * KIB)
/* Receive pools, in percent: who goes then (session_shed_rule()). */
#define SHED_STALLED_PERCENT 75u
#define SHED_LARGEST_PERCENT 100u

/* Counts in a session. Settings' defaults are plain digits: their rows print
 * them as they stand here. */
#define STREAMS_MAX_DEFAULT 4096
#define STREAM_ID_LAST 0xfffffffeu
#define TUNNELS_MAX 20u
#define SLOTS_MAX 2u
#define BIND_BURST (2 * TUNNELS_MAX)
#define BIND_EACH_US (1 * US_PER_S)

/* Pools, in bytes. */
#define RECEIVE_POOL_SESSION (32u * MIB)
#define RECEIVE_POOL_CLIENT (64u * MIB)
#define SENT_LOG_SESSION (16u * MIB)
#define SENT_LOG_RELAY (256u * MIB)
#define SENT_LOG_GUARANTEED (256u * KIB)
#define SENT_LOG_SLACK (1u * MIB)
#define SENT_LOG_STUCK_US (30 * US_PER_S)
#define UNSENT_STREAM_MAX (128u * KIB)
#define UNSENT_STREAM_LOW (64u * KIB)
#define UNSENT_STREAM_HARD (1u * MIB)
#define UNSENT_SESSION_MAX (16u * MIB)
/* So far past it new requests may still be queued: they leave at once. */
#define UNSENT_SESSION_SLACK (4u * MIB)
#define AWAY_STREAM_MAX (256u * KIB)
#define AWAY_SESSION_MAX (4u * MIB)

/* Acknowledgement and liveness. */
#define ACK_BYTES (64u * KIB)
#define ACK_DELAY_US (5 * US_PER_MS)
#define PING_SILENCE_BUSY_US (5 * US_PER_S)
#define PING_SILENCE_IDLE_US (25 * US_PER_S)
#define PING_ANSWER_US (10 * US_PER_S)
/* In doubt: so long, or three round trips, without a byte; and when asked,
 * because the network may be another one. */
#define SUSPECT_US (2 * US_PER_S)
#define SUSPECT_ASKED_US (500 * US_PER_MS)
#define SUSPECT_RTTS 3u
#define TCP_USER_TIMEOUT_US (15 * US_PER_S)

/* What of bulk may be in flight while an interactive stream was active in the
 * last while: what the line holds, a part of it, and EXTRA; FLOOR at least,
 * if it is not known to be slow.
 * A frame of it is what a slow line takes in a while, QUANTUM_MIN at least. */
#define FLIGHT_URGENT_US (2 * US_PER_S)
#define FLIGHT_EXTRA (8u * KIB)
#define FLIGHT_FLOOR (64u * KIB)
#define FLIGHT_QUANTUM_MIN (2u * KIB)

/* Redial and grace. */
#define REDIAL_DIALS 3u /* side by side within the grace */
#define REDIAL_QUICK_US (250 * US_PER_MS)
#define REDIAL_FIRST_US (250 * US_PER_MS)
#define REDIAL_FLOOR_US (1 * US_PER_S)
#define REDIAL_CEILING_US (15 * US_PER_S)
/* Requests that wait for a link to come back: of one name, and how long. */
#define AWAY_REQUESTS_MAX 500u
#define AWAY_REQUESTS_BYTES (4u * MIB)
#define AWAY_WAIT_MAX_US (60 * US_PER_S)
#define GRACE_DEFAULT_US (45 * US_PER_S)
#define GRACE_MAX_US (300 * US_PER_S)

/* The edge. */
#define HELLO_MAX (16u * KIB)
#define HELLO_BYTES_MAX (HELLO_MAX + 64u * 5u) /* with its records' headers */
#define HANDSHAKE_US (10 * US_PER_S)
#define REQUEST_HEAD_US (10 * US_PER_S)
#define KEEP_ALIVE_US (75 * US_PER_S)
#define STALL_US (300 * US_PER_S)
#define STALL_UNDER_PRESSURE_US (30 * US_PER_S)
/* What a visitor sends before it is wanted: behind an upgrade's head, or ahead
 * of an exchange's end. One chunk for both. The rest waits in the kernel, where
 * it costs us nothing; only the visitor's leaving is noticed later then. */
#define SENT_AHEAD_MAX FRAME_PAYLOAD_MAX
#define DISCARD_AFTER_STOP_MAX (256u * KIB)
#define ADDRESS_CONNECTIONS_MAX 1000 /* settings' defaults: plain digits */
#define ADDRESS_HANDSHAKES_MAX 100
#define ADDRESS_RATE_PER_S 100
#define ADDRESS_BURST 300
#define LOGIN_FAILURES_PER_MINUTE 5u
#define LOGIN_PENALTY_FIRST_US (1 * US_PER_S)
#define LOGIN_PENALTY_MAX_US (3600 * US_PER_S)
#define LOGIN_US (10 * US_PER_S)

/* Arrivals while visitors of that standing are served, or were lately: one
 * part in so many of their time and of what is free, so many thousandths of all
 * time at least, and so many in one tick; at other times that many a tick. */
#define TURNSTILE_SHARE 6u
#define TURNSTILE_FREE_SHARE 4u
#define TURNSTILE_LEAST 20u
#define TURNSTILE_STANDING_US (1 * US_PER_S)
#define TURNSTILE_QUIET_US (100 * US_PER_MS)
#define TURNSTILE_EACH_TICK_SPARING 4u
#define TURNSTILE_EACH_TICK 32u

/* The client's side of the service. */
#define LOCAL_IDLE_US (3900 * US_PER_MS)
#define LOCAL_CONNECT_US (10 * US_PER_S)
#define TCP_KEEPALIVE_FIRST_S 60u
#define TCP_KEEPALIVE_EACH_S 20u
#define TCP_KEEPALIVE_COUNT 3u

/* Descriptors that no visitor gets: for the store, certificates, the operator
 * and what the relay opens for them. */
#define DESCRIPTORS_KEPT 16u

/* Stopping. */
#define DRAIN_CLIENT_US (10 * US_PER_S)
#define DRAIN_RELAY_US (30 * US_PER_S)
/* So long the drain waits for the request of who was let in, and so long that
 * may take at all. */
#define DRAIN_NEWCOMERS_US (500 * US_PER_MS)
#define DRAIN_IDLE_US (5 * US_PER_S)

/* After a restart: clients are expected, and visitors wait for them, at most
 * so many and half a handshake's time. */
#define RETURNING_US (10 * US_PER_S)
#define RETURNING_WAIT_US (HANDSHAKE_US / 2)
#define RETURNING_VISITORS_MAX 4096u

/* Invitations. */
#define INVITATION_EXPIRES_S (24u * 3600u)
#define INVITATION_USES_MAX 1000u

/*
 * A packet of the loopback carries 65,483 bytes, 65,463 of IPv6. Four full
 * records are more: their tail would be a packet of its own, which costs nearly
 * as much as a large one. So bulk is read in pieces that are a little smaller
 * than a frame may be, and four of them in their records fill a batch.
 */
#define PACKET_MAX 65463u
#define BULK_PAYLOAD (FRAME_PAYLOAD_MAX - 56u)

/* The loop's buffers. */
#define CHUNK_HEADROOM 32u
#define WRITE_BATCH 65000u
#define READ_BATCH (4u * (FRAME_HEADER_LEN + BULK_PAYLOAD + 22u))
#define WRITE_BURST_MAX (4u * WRITE_BATCH)
#define READ_PER_TICK WRITE_BURST_MAX /* four reads */

_Static_assert(FRAME_MAX == TLS_RECORD_MAX, "a frame fills one TLS record");
_Static_assert(READ_BATCH <= PACKET_MAX &&
                   4u * (BULK_PAYLOAD + 22u) >= WRITE_BATCH,
               "four records of TLS fill a batch, and a packet takes it");
_Static_assert(CHUNK_HEADROOM >= FRAME_HEADER_LEN, "the header fits in front");
_Static_assert(WINDOW_FIRST <= WINDOW_MAX, "windows only grow");
_Static_assert(HEAD_MAX < WINDOW_FIRST, "a head fits the first window");
_Static_assert(SENT_LOG_GUARANTEED < SENT_LOG_SESSION, "a part of the whole");
_Static_assert(HEAD_TARGET_MAX < HEAD_MAX, "the target is part of the head");

#endif
