/* One stream after the other in the same slot: its times, the markers in its text, its result. */
#include "loadgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct results res;
static struct slot_list ready;

static size_t hist_index(uint64_t us)
{
    if (us < 64)
        return us;
    int shift = 63 - __builtin_clzll(us) - 6;
    size_t index = (size_t)(shift + 1) * 64 + ((us >> shift) - 64);
    return index < HIST_BUCKETS ? index : HIST_BUCKETS - 1;
}

void hist_add(struct hist *h, uint64_t us)
{
    h->count++;
    h->buckets[hist_index(us)]++;
}

double hist_quantile_ms(const struct hist *h, double q)
{
    uint64_t seen = 0, rank = (uint64_t)(q * (double)h->count);
    for (size_t i = 0; i < HIST_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen <= rank)
            continue;
        if (i < 64)
            return (double)i / 1e3;
        /* The middle of the bucket, so that the error is half its width at most. */
        return ((double)(i % 64) + 64.5) * (double)(1ULL << (i / 64 - 1)) / 1e3;
    }
    return 0;
}

void list_push(struct slot_list *l, struct slot *s)
{
    s->next = NULL;
    if (l->last)
        l->last->next = s;
    else
        l->first = s;
    l->last = s;
}

struct slot *list_pop(struct slot_list *l)
{
    struct slot *s = l->first;
    if (s) {
        l->first = s->next;
        if (!l->first)
            l->last = NULL;
    }
    return s;
}

void slot_begin(struct slot *s)
{
    if (res.started >= opt.total)
        return;
    res.started++;
    struct slot fresh = {.conn = s->conn, .partial = s->partial, .begun_us = now_us()};
    fresh.partial.len = 0;
    *s = fresh;
    conn_enqueue(s);
}

static void count_in_flight(struct slot *s)
{
    s->counted = true;
    if (++res.in_flight > res.peak_in_flight)
        res.peak_in_flight = res.in_flight;
}

void slot_sent(struct slot *s)
{
    s->sent = true;
    s->sent_us = now_us();
    if (opt.unary)
        count_in_flight(s);
}

static void marker_done(struct slot *s, uint64_t now)
{
    if (!s->counted) {
        count_in_flight(s);
        hist_add(&res.ttft, now - s->sent_us);
    }
    if (s->seq != s->next_seq)
        res.seq_errors++;
    s->next_seq = s->seq + 1;
    s->chunks++;
    res.chunks++;
    hist_add(&res.chunk, now > s->micros ? now - s->micros : 0);
}

static void marker_step(struct slot *s, char c, uint64_t now)
{
    bool digit = c >= '0' && c <= '9';
    if (digit && s->digits < 19) {
        uint64_t *value = s->marker == MARKER_SEQ ? &s->seq : &s->micros;
        *value = *value * 10 + (uint64_t)(c - '0');
        s->digits++;
        return;
    }
    enum marker_state was = s->marker;
    bool complete = s->digits > 0;
    s->marker = MARKER_NONE;
    s->digits = 0;
    if (c == '@') {
        s->marker = MARKER_SEQ;
        s->seq = s->micros = 0;
    } else if (was == MARKER_SEQ && c == ':' && complete) {
        s->marker = MARKER_MICROS;
    } else if (was == MARKER_MICROS && c == ' ' && complete) {
        marker_done(s, now);
    }
}

void slot_text(struct slot *s, const char *p, size_t n, uint64_t now)
{
    const char *end = p + n;
    if (opt.unary)
        return; /* a whole answer at once has no chunks to time */
    while (p < end) {
        if (s->marker == MARKER_NONE) {
            p = memchr(p, '@', (size_t)(end - p));
            if (!p)
                return;
        }
        marker_step(s, *p++, now);
    }
}

static void complain(const char *why)
{
    static int said;
    /* The first few are enough to see what is wrong; thousands would hide it. */
    if (said < 5)
        fprintf(stderr, "loadgen: stream failed: %s\n", why);
    said++;
}

/* Ends the stream: NULL = well. The slot's next stream starts from slot_settle(), not from here, because a
 * server that refuses every connection would make begin and end call each other without end. */
void slot_end(struct slot *s, const char *why)
{
    uint64_t now = now_us();
    char count[96];
    if (!why)
        why = s->defect;
    if (!why && opt.expect_chunks && !opt.unary && s->chunks != opt.expect_chunks) {
        snprintf(count, sizeof count, "%llu chunks instead of %llu", (unsigned long long)s->chunks,
                 (unsigned long long)opt.expect_chunks);
        why = count;
    }
    if (why) {
        res.errors++;
        complain(why);
    } else {
        res.ok++;
        /* With a connection for each request the connection is part of its price. */
        hist_add(&res.total, now - (opt.churn ? s->begun_us : s->sent_us));
    }
    if (s->counted)
        res.in_flight--;
    s->counted = false;
    s->id = 0;
    list_push(&ready, s);
}

void slot_settle(void)
{
    struct slot *s;
    do {
        while ((s = list_pop(&ready)))
            slot_begin(s);
        while (conn_flush_dirty())
            ;
    } while (ready.first);
}
