/* HTTP/2 in cleartext with prior knowledge, as far as a gRPC client needs it. Response headers and trailers
 * are not decoded: whether a stream was well shows in its messages. */
#include "loadgen.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4, PADDED = 8 };
enum { FRAME_HEAD = 9, MAX_FRAME = 16384, STREAM_WINDOW = 16 << 20, CONN_WINDOW = 1 << 30 };

static struct bytes request; /* HEADERS and DATA frame; the stream ids are filled in for each stream */
static size_t data_frame_at, body_size;

static uint32_t get32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static void put32(char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (char)(v >> (24 - 8 * i));
}

static void frame_head(char *p, size_t len, int type, int flags, uint32_t id)
{
    put32(p, (uint32_t)len << 8 | (uint32_t)type);
    p[4] = (char)flags;
    put32(p + 5, id);
}

static void send_frame(struct conn *c, int type, int flags, uint32_t id, const char *payload, size_t len)
{
    char frame[64];
    frame_head(frame, len, type, flags, id);
    memcpy(frame + FRAME_HEAD, payload, len);
    conn_write(c, frame, FRAME_HEAD + len);
}

static void send_window(struct conn *c, uint32_t id, uint64_t increment)
{
    char payload[4];
    put32(payload, (uint32_t)increment);
    send_frame(c, WINDOW_UPDATE, 0, id, payload, sizeof payload);
}

static void hpack_string(struct bytes *out, const char *text, size_t len, bool lower)
{
    char head[6] = {127};
    size_t n = 1, rest = len;
    if (len < 127) {
        head[0] = (char)len;
    } else {
        for (rest -= 127; rest > 127; rest >>= 7)
            head[n++] = (char)(rest | 128);
        head[n++] = (char)rest;
    }
    bytes_add(out, head, n);
    for (size_t i = 0; i < len; i++) {
        char c = lower ? (char)tolower((unsigned char)text[i]) : text[i];
        bytes_add(out, &c, 1);
    }
}

static void hpack_header(struct bytes *out, const char *name, size_t name_len, const char *value)
{
    bytes_add(out, "", 1); /* literal without indexing, new name */
    hpack_string(out, name, name_len, true);
    hpack_string(out, value, strlen(value), false);
}

void grpc_prepare(void)
{
    struct bytes block = {0}, body = {0};
    char head[FRAME_HEAD + 5] = {0}, authority[256];
    snprintf(authority, sizeof authority, "%s:%d", opt.host, opt.port);
    hpack_header(&block, ":method", 7, "POST");
    hpack_header(&block, ":scheme", 7, "http");
    hpack_header(&block, ":path", 5, opt.path);
    hpack_header(&block, ":authority", 10, authority);
    hpack_header(&block, "content-type", 12, "application/grpc");
    hpack_header(&block, "te", 2, "trailers");
    for (int i = 0; i < opt.header_count; i++) {
        const char *colon = strchr(opt.headers[i], ':'), *value = colon + 1;
        hpack_header(&block, opt.headers[i], (size_t)(colon - opt.headers[i]), value + (*value == ' '));
    }
    pb_request(&body);
    body_size = 5 + body.len;
    if (block.len > MAX_FRAME || body_size > MAX_FRAME) {
        fprintf(stderr, "loadgen: the request does not fit into a frame\n");
        exit(2);
    }
    frame_head(head, block.len, HEADERS, END_HEADERS, 0);
    bytes_add(&request, head, FRAME_HEAD);
    bytes_add(&request, block.data, block.len);
    data_frame_at = request.len;
    frame_head(head, body_size, DATA, END_STREAM, 0);
    put32(head + FRAME_HEAD + 1, (uint32_t)body.len);
    bytes_add(&request, head, sizeof head);
    bytes_add(&request, body.data, body.len);
}

static void grpc_opened(struct conn *c)
{
    char settings[12] = {0, 2, 0, 0, 0, 0, 0, 4}; /* ENABLE_PUSH = 0, INITIAL_WINDOW_SIZE */
    put32(settings + 8, STREAM_WINDOW);
    c->settled = false;
    c->ids = c->active = 0;
    c->max_streams = UINT32_MAX;
    c->send_window = 65535;
    c->unacked = 0;
    conn_write(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
    send_frame(c, SETTINGS, 0, 0, settings, sizeof settings);
    send_window(c, 0, CONN_WINDOW);
}

static uint32_t new_id(struct conn *c, struct slot *s)
{
    if (c->ids == c->ids_cap) {
        c->ids_cap = c->ids_cap ? c->ids_cap * 2 : 64;
        c->by_id = realloc(c->by_id, c->ids_cap * sizeof *c->by_id);
        if (!c->by_id) {
            perror("loadgen: realloc");
            exit(2);
        }
    }
    c->by_id[c->ids++] = s;
    return c->ids * 2 - 1;
}

/* Waits for the server's SETTINGS first: streams beyond its limit would be refused. */
static void grpc_pump(struct conn *c)
{
    while (c->settled && c->waiting.first && c->active < c->max_streams && c->send_window >= (int64_t)body_size) {
        struct slot *s = list_pop(&c->waiting);
        s->id = new_id(c, s);
        c->active++;
        c->send_window -= (int64_t)body_size;
        put32(request.data + 5, s->id);
        put32(request.data + data_frame_at + 5, s->id);
        slot_sent(s);
        conn_write(c, request.data, request.len);
    }
}

static struct slot *find(struct conn *c, uint32_t id)
{
    uint32_t index = (id - 1) / 2;
    return id % 2 && index < c->ids ? c->by_id[index] : NULL;
}

static void stream_end(struct conn *c, struct slot *s, const char *why)
{
    c->by_id[(s->id - 1) / 2] = NULL;
    c->active--;
    if (opt.churn)
        c->close_after = true;
    slot_end(s, why);
    grpc_pump(c);
}

/* Whole messages are read where they lie; only one that is not complete yet is copied. */
static void stream_data(struct slot *s, const char *p, size_t n, uint64_t now)
{
    struct bytes *partial = &s->partial;
    bool copied = partial->len > 0;
    size_t at = 0;
    if (copied) {
        bytes_add(partial, p, n);
        p = partial->data;
        n = partial->len;
    }
    while (n - at >= 5) {
        size_t len = get32(p + at + 1);
        if (p[at])
            s->defect = "a compressed message";
        if (n - at - 5 < len)
            break;
        pb_response(s, p + at + 5, len, now);
        at += 5 + len;
    }
    if (copied) {
        memmove(partial->data, partial->data + at, n - at);
        partial->len = n - at;
    } else if (at < n) {
        bytes_add(partial, p + at, n - at);
    }
}

static void closed_by_server(struct conn *c, struct slot *s)
{
    stream_end(c, s, !s->finished ? "the stream ended without a finish or an answer"
                     : s->partial.len ? "the stream ended inside a message" : NULL);
}

static int on_data(struct conn *c, int flags, uint32_t id, const char *p, size_t n, uint64_t now)
{
    struct slot *s = find(c, id);
    c->unacked += n; /* padding counts, and so do streams that have ended */
    if (c->unacked >= CONN_WINDOW / 4) {
        send_window(c, 0, c->unacked);
        c->unacked = 0;
    }
    if (!s)
        return 0;
    s->unacked += n;
    if (flags & PADDED) {
        size_t padding = n ? (unsigned char)*p : 0;
        if (padding + 1 > n) {
            c->why = "more padding than data";
            return -1;
        }
        p++;
        n -= padding + 1;
    }
    stream_data(s, p, n, now);
    if (flags & END_STREAM) {
        closed_by_server(c, s);
    } else if (s->unacked >= STREAM_WINDOW / 2) {
        send_window(c, id, s->unacked);
        s->unacked = 0;
    }
    return 0;
}

static void on_settings(struct conn *c, int flags, const char *p, size_t n)
{
    if (flags & ACK)
        return;
    for (; n >= 6; p += 6, n -= 6)
        if (!p[0] && p[1] == 3) /* MAX_CONCURRENT_STREAMS; the request fits into any sensible window */
            c->max_streams = get32(p + 2);
    send_frame(c, SETTINGS, ACK, 0, p, 0);
    c->settled = true;
    grpc_pump(c);
}

static int on_frame(struct conn *c, const char *head, const char *p, size_t n, uint64_t now)
{
    static char text[64];
    int type = (unsigned char)head[3], flags = (unsigned char)head[4];
    uint32_t id = get32(head + 5) & 0x7fffffff;
    struct slot *s = type == HEADERS || type == RST_STREAM ? find(c, id) : NULL;
    if (type == DATA)
        return on_data(c, flags, id, p, n, now);
    if (type == HEADERS && s && flags & END_STREAM) {
        closed_by_server(c, s);
    } else if (type == RST_STREAM && s && n >= 4) {
        snprintf(text, sizeof text, "RST_STREAM with code %u", get32(p));
        stream_end(c, s, text);
    } else if (type == SETTINGS) {
        on_settings(c, flags, p, n);
    } else if (type == PING && n == 8 && !(flags & ACK)) {
        send_frame(c, PING, ACK, 0, p, n);
    } else if (type == WINDOW_UPDATE && !id && n >= 4) {
        c->send_window += get32(p) & 0x7fffffff;
        grpc_pump(c);
    } else if (type == GOAWAY && n >= 8) {
        snprintf(text, sizeof text, "GOAWAY with code %u", get32(p + 4));
        c->why = text;
        return -1;
    }
    return 0;
}

static ssize_t grpc_input(struct conn *c, const char *p, size_t n, uint64_t now)
{
    size_t at = 0;
    while (n - at >= FRAME_HEAD) {
        size_t len = get32(p + at) >> 8;
        if (len > MAX_FRAME) {
            c->why = "not HTTP/2, or a frame larger than allowed";
            return -1;
        }
        if (n - at - FRAME_HEAD < len)
            break;
        if (on_frame(c, p + at, p + at + FRAME_HEAD, len, now) < 0)
            return -1;
        at += FRAME_HEAD + len;
    }
    return (ssize_t)at;
}

static void grpc_lost(struct conn *c, const char *why)
{
    for (uint32_t i = 0; i < c->ids; i++) {
        struct slot *s = c->by_id[i];
        c->by_id[i] = NULL;
        if (s)
            slot_end(s, why);
    }
    c->ids = c->active = 0;
    c->settled = false;
}

static void grpc_eof(struct conn *c)
{
    (void)c; /* HTTP/2 ends streams by flag, never by closing */
}

const struct protocol grpc_protocol = {grpc_opened, grpc_pump, grpc_input, grpc_lost, grpc_eof};
