/* A single-threaded load generator for servers that stream tokens: what its files share.
 *
 *   loadgen.c       options, the event loop, the report
 *   loadgen_conn.c  connections: opening, reading, writing, closing
 *   loadgen_slot.c  one stream after the other: times, markers, results
 *   loadgen_sse.c   HTTP/1.1 with server-sent events
 *   loadgen_grpc.c  HTTP/2 in cleartext, as far as gRPC needs it
 *   loadgen_pb.c    the gRPC request and the few response fields that matter
 */
#ifndef LOADGEN_H
#define LOADGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { LINE_START = 32, READ_BUFFER = 65536, MAX_HEADERS = 16, HIST_BUCKETS = 64 * 60 };

struct options {
    const char *host, *path, *model, *body, *done;
    const char *headers[MAX_HEADERS];
    int header_count, port, conns;
    bool grpc, unary, churn;
    uint64_t streams, total, expect_chunks;
    double ramp_s, timeout_s;
};

struct bytes {
    char *data;
    size_t len, cap;
};

/* Buckets of 1/64 of a power of two: exact below 64 us, then at most 1.6 % wide. */
struct hist {
    uint64_t count, buckets[HIST_BUCKETS];
};

struct results {
    uint64_t started, ok, errors, seq_errors, chunks, messages, in_flight, peak_in_flight;
    struct hist ttft, chunk, total;
};

/* Where the search for "@SEQ:MICROS " stands. A state machine needs no copy of a marker's first half when
 * the marker is cut in two. */
enum marker_state { MARKER_NONE, MARKER_SEQ, MARKER_MICROS };

struct slot {
    struct conn *conn;
    struct slot *next; /* in the connection's waiting list or in the ready list */
    uint64_t begun_us, sent_us, chunks, next_seq, seq, micros, messages;
    uint64_t unacked; /* grpc: bytes received since the last window update */
    struct bytes partial; /* grpc: the message whose end has not come yet */
    const char *defect; /* set when the stream cannot be OK any more */
    uint32_t id; /* grpc: stream id; 0 = not on the wire */
    enum marker_state marker;
    int digits;
    bool sent, counted, finished;
};

struct slot_list {
    struct slot *first, *last;
};

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_OPEN };
enum http_state { HTTP_HEAD, HTTP_LENGTH, HTTP_TO_EOF, HTTP_CHUNK_SIZE, HTTP_CHUNK, HTTP_CHUNK_END, HTTP_TRAILER };

struct conn {
    int fd;
    uint32_t generation; /* tells events of a closed socket from those of its successor */
    enum conn_state state;
    bool close_after, want_write, dirty;
    const char *why; /* why input() gave up */
    struct conn *dirty_next;
    struct slot_list waiting;
    char *in;
    size_t in_len, out_sent;
    struct bytes out;
    /* sse */
    struct slot *current;
    bool last_response; /* the server said "Connection: close" */
    enum http_state http;
    int status;
    char line[LINE_START]; /* how the current line begins */
    size_t line_len;
    uint64_t remaining, body_bytes;
    /* grpc */
    bool settled; /* the server's SETTINGS came */
    struct slot **by_id; /* index (id - 1) / 2: ids only grow, so no hashing is needed */
    uint32_t ids, ids_cap, active, max_streams;
    int64_t send_window;
    uint64_t unacked;
};

struct protocol {
    void (*opened)(struct conn *c);
    void (*pump)(struct conn *c); /* sends what waits, as far as the protocol allows now */
    ssize_t (*input)(struct conn *c, const char *p, size_t n, uint64_t now); /* bytes used, or -1 and c->why */
    void (*lost)(struct conn *c, const char *why); /* the socket is gone: ends every slot that was sent */
    void (*eof)(struct conn *c); /* the peer closed: the last chance to end a slot well */
};

extern struct options opt;
extern struct results res;
extern const struct protocol *proto;
extern const struct protocol sse_protocol, grpc_protocol;

uint64_t now_us(void);
void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_text(struct bytes *b, const char *text);

/* loadgen_conn.c */
void conn_setup(void);
void conn_make(struct conn *c, uint32_t index);
void conn_write(struct conn *c, const void *data, size_t len);
void conn_enqueue(struct slot *s);
void conn_wait(struct conn *all, int timeout_ms);
struct conn *conn_flush_dirty(void);

/* loadgen_slot.c */
void hist_add(struct hist *h, uint64_t us);
double hist_quantile_ms(const struct hist *h, double q);
void list_push(struct slot_list *l, struct slot *s);
struct slot *list_pop(struct slot_list *l);
void slot_begin(struct slot *s);
void slot_sent(struct slot *s);
void slot_text(struct slot *s, const char *p, size_t n, uint64_t now);
void slot_end(struct slot *s, const char *why);
void slot_settle(void);

/* loadgen_pb.c */
void pb_request(struct bytes *out);
void pb_response(struct slot *s, const char *p, size_t n, uint64_t now);

void sse_prepare(void);
void grpc_prepare(void);

#endif
