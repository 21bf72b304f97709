/* HTTP/1.1 with server-sent events: one request at a time on each connection. */
#define _GNU_SOURCE /* memmem */
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes request;

void sse_prepare(void)
{
    char openai[1024], line[1024];
    int n = snprintf(openai, sizeof openai,
                     "{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":%s}",
                     opt.model, opt.unary ? "false" : "true");
    const char *body = opt.body ? opt.body : openai;
    int m = snprintf(line, sizeof line,
                     "POST %s HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/json\r\nAccept: %s\r\n"
                     "Content-Length: %zu\r\n",
                     opt.path, opt.host, opt.port, opt.unary ? "application/json" : "text/event-stream",
                     strlen(body));
    if (n >= (int)sizeof openai || m >= (int)sizeof line || strpbrk(opt.model, "\"\\")) {
        fprintf(stderr, "loadgen: unusable --model or --path\n");
        exit(2);
    }
    bytes_text(&request, line);
    for (int i = 0; i < opt.header_count; i++) {
        bytes_text(&request, opt.headers[i]);
        bytes_text(&request, "\r\n");
    }
    bytes_text(&request, "\r\n");
    bytes_text(&request, body);
}

static void sse_pump(struct conn *c)
{
    if (c->current || c->close_after || !(c->current = list_pop(&c->waiting)))
        return;
    c->http = HTTP_HEAD;
    c->last_response = false;
    c->line_len = 0;
    c->body_bytes = 0;
    slot_sent(c->current);
    conn_write(c, request.data, request.len);
}

static void sse_finish(struct conn *c)
{
    struct slot *s = c->current;
    char status[32];
    const char *why = NULL;
    if (c->status != 200) {
        snprintf(status, sizeof status, "HTTP status %d", c->status);
        why = status;
    } else if (opt.unary && !c->body_bytes) {
        why = "an empty body";
    } else if (!opt.unary && !s->finished) {
        why = "the stream ended without its last line";
    }
    c->current = NULL;
    if (opt.churn || c->last_response)
        c->close_after = true;
    slot_end(s, why);
}

/* Only how a line begins matters, so no more of it is kept when a read cuts it in two. */
static void sse_line_end(struct conn *c)
{
    size_t len = c->line_len, done = strlen(opt.done);
    c->line_len = 0;
    if (len && c->line[len - 1] == '\r')
        len--;
    if (len == done && !memcmp(c->line, opt.done, done))
        c->current->finished = true;
    else if (len > 5 && !memcmp(c->line, "data:", 5))
        res.messages++;
}

static void sse_lines(struct conn *c, const char *p, size_t n)
{
    const char *end = p + n;
    while (p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((newline ? newline : end) - p), room = LINE_START - c->line_len;
        size_t kept = len < room ? len : room;
        memcpy(c->line + c->line_len, p, kept);
        c->line_len += kept;
        p += len;
        if (newline) {
            sse_line_end(c);
            p++;
        }
    }
}

static void sse_body(struct conn *c, const char *p, size_t n, uint64_t now)
{
    c->body_bytes += n;
    if (opt.unary || c->status != 200)
        return;
    slot_text(c->current, p, n, now);
    sse_lines(c, p, n);
}

/* The value of a header in the head that ends at end, or NULL. */
static const char *header(const char *head, const char *end, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = head; (p = memchr(p, '\n', (size_t)(end - p))) && end - p > (ptrdiff_t)len + 1;) {
        p++;
        if (strncasecmp(p, name, len) || p[len] != ':')
            continue;
        for (p += len + 1; p < end && *p == ' '; p++)
            ;
        return p;
    }
    return NULL;
}

static ssize_t sse_head(struct conn *c, const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4), *v;
    if (!end)
        return 0;
    if (end - p < 12 || memcmp(p, "HTTP/1.", 7)) {
        c->why = "not an HTTP/1 response";
        return -1;
    }
    c->status = atoi(p + 9);
    end += 2; /* every line of the head now ends before end */
    if (c->status / 100 == 1)
        return end + 2 - p;
    if ((v = header(p, end, "connection")) && !strncasecmp(v, "close", 5))
        c->last_response = true;
    if ((v = header(p, end, "transfer-encoding")) && !strncasecmp(v, "chunked", 7)) {
        c->http = HTTP_CHUNK_SIZE;
    } else if ((v = header(p, end, "content-length"))) {
        c->http = HTTP_LENGTH;
        c->remaining = strtoull(v, NULL, 10);
        if (!c->remaining)
            sse_finish(c);
    } else {
        c->http = HTTP_TO_EOF;
    }
    return end + 2 - p;
}

static ssize_t sse_counted(struct conn *c, const char *p, size_t n, uint64_t now)
{
    size_t take = n < c->remaining ? n : (size_t)c->remaining;
    sse_body(c, p, take, now);
    c->remaining -= take;
    if (c->remaining)
        return (ssize_t)take;
    if (c->http == HTTP_CHUNK)
        c->http = HTTP_CHUNK_END;
    else
        sse_finish(c);
    return (ssize_t)take;
}

/* The lines between chunks: a size, the end of a chunk, a trailer. */
static ssize_t sse_line(struct conn *c, const char *p, size_t n)
{
    const char *end = memchr(p, '\n', n);
    char *stop = NULL;
    if (!end)
        return 0;
    size_t len = (size_t)(end - p) - (end > p && end[-1] == '\r');
    if (c->http == HTTP_CHUNK_END) {
        c->http = HTTP_CHUNK_SIZE;
    } else if (c->http == HTTP_TRAILER) {
        if (!len)
            sse_finish(c);
    } else {
        c->remaining = strtoull(p, &stop, 16);
        c->http = c->remaining ? HTTP_CHUNK : HTTP_TRAILER;
    }
    if ((c->http == HTTP_CHUNK_SIZE && len) || stop == p) {
        c->why = "broken chunked encoding";
        return -1;
    }
    return end + 1 - p;
}

static ssize_t sse_input(struct conn *c, const char *p, size_t n, uint64_t now)
{
    size_t at = 0;
    while (at < n) {
        ssize_t used;
        if (!c->current) {
            c->why = "bytes after the end of the response";
            return -1;
        }
        if (c->http == HTTP_HEAD) {
            used = sse_head(c, p + at, n - at);
        } else if (c->http == HTTP_LENGTH || c->http == HTTP_CHUNK) {
            used = sse_counted(c, p + at, n - at, now);
        } else if (c->http == HTTP_TO_EOF) {
            sse_body(c, p + at, n - at, now);
            used = (ssize_t)(n - at);
        } else {
            used = sse_line(c, p + at, n - at);
        }
        if (used < 0)
            return -1;
        if (!used)
            break;
        at += (size_t)used;
    }
    return (ssize_t)at;
}

static void sse_eof(struct conn *c)
{
    if (c->current && c->http == HTTP_TO_EOF)
        sse_finish(c);
}

static void sse_lost(struct conn *c, const char *why)
{
    struct slot *s = c->current;
    c->current = NULL;
    if (s)
        slot_end(s, why);
}

const struct protocol sse_protocol = {sse_pump, sse_pump, sse_input, sse_lost, sse_eof};
