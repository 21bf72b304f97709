/* Connections: opening, reading, writing, closing. Nothing here blocks. */
#include "loadgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256 };

static int epoll_fd;
static struct sockaddr_in address;
static struct conn *dirty_first;
static struct conn *all_conns;

void bytes_add(struct bytes *b, const void *data, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2;
        b->data = realloc(b->data, b->cap);
        if (!b->data) {
            perror("loadgen: realloc");
            exit(2);
        }
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_text(struct bytes *b, const char *text)
{
    bytes_add(b, text, strlen(text));
}

void conn_setup(void)
{
    struct rlimit files;
    /* One descriptor for each stream soon passes the usual soft limit of 1 024. */
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)opt.port);
    if (epoll_fd < 0 || inet_pton(AF_INET, opt.host, &address.sin_addr) != 1) {
        fprintf(stderr, "loadgen: --host must be an IPv4 address\n");
        exit(2);
    }
}

void conn_make(struct conn *c, uint32_t index)
{
    if (!index)
        all_conns = c;
    c->fd = -1;
    c->in = malloc(READ_BUFFER);
    if (!c->in) {
        perror("loadgen: malloc");
        exit(2);
    }
}

static void watch(struct conn *c, int op, uint32_t events)
{
    struct epoll_event e = {.events = events};
    e.data.u64 = (uint64_t)(c - all_conns) << 32 | c->generation;
    epoll_ctl(epoll_fd, op, c->fd, &e);
}

static void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->generation++;
    c->state = CONN_CLOSED;
    c->close_after = c->want_write = false;
    c->in_len = c->out.len = c->out_sent = 0;
}

static void conn_fail(struct conn *c, const char *why)
{
    struct slot_list waiting = c->waiting;
    struct slot *s;
    c->waiting = (struct slot_list){NULL, NULL};
    conn_close(c);
    proto->lost(c, why);
    while ((s = list_pop(&waiting)))
        slot_end(s, why);
}

static void conn_open(struct conn *c)
{
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        conn_fail(c, strerror(errno));
        return;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        conn_fail(c, strerror(errno));
        return;
    }
    c->state = CONN_CONNECTING;
    c->want_write = true;
    watch(c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
}

void conn_enqueue(struct slot *s)
{
    struct conn *c = s->conn;
    list_push(&c->waiting, s);
    if (c->state == CONN_CLOSED)
        conn_open(c);
    else if (c->state == CONN_OPEN)
        proto->pump(c);
}

/* Collects: what one turn of the loop has to say on a connection leaves in one packet. */
void conn_write(struct conn *c, const void *data, size_t len)
{
    bytes_add(&c->out, data, len);
    if (!c->dirty) {
        c->dirty = true;
        c->dirty_next = dirty_first;
        dirty_first = c;
    }
}

static void conn_flush(struct conn *c)
{
    if (c->state != CONN_OPEN)
        return;
    while (c->out_sent < c->out.len) {
        ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            conn_fail(c, strerror(errno));
            return;
        }
        if (n < 0)
            break;
        c->out_sent += (size_t)n;
    }
    bool more = c->out_sent < c->out.len;
    if (!more)
        c->out.len = c->out_sent = 0;
    if (more != c->want_write) {
        c->want_write = more;
        watch(c, EPOLL_CTL_MOD, more ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

struct conn *conn_flush_dirty(void)
{
    struct conn *c = dirty_first;
    if (c) {
        dirty_first = c->dirty_next;
        c->dirty = false;
        conn_flush(c);
    }
    return c;
}

static void conn_read(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->in_len, READ_BUFFER - c->in_len, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            conn_fail(c, strerror(errno));
        return;
    }
    if (!n) {
        proto->eof(c);
        conn_fail(c, "the server closed the connection");
        return;
    }
    c->in_len += (size_t)n;
    ssize_t used = proto->input(c, c->in, c->in_len, now_us());
    if (used < 0) {
        conn_fail(c, c->why);
        return;
    }
    c->in_len -= (size_t)used;
    memmove(c->in, c->in + used, c->in_len);
    if (c->in_len == READ_BUFFER)
        conn_fail(c, "a head or frame larger than the read buffer");
}

static void conn_event(struct conn *c, uint32_t events)
{
    if (c->state == CONN_CONNECTING) {
        int error = 0;
        socklen_t len = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            conn_fail(c, strerror(error));
            return;
        }
        c->state = CONN_OPEN;
        proto->opened(c);
    }
    if (events & EPOLLOUT)
        conn_flush(c);
    if (c->state == CONN_OPEN && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        conn_read(c);
    if (c->close_after)
        conn_close(c);
}

void conn_wait(struct conn *all, int timeout_ms)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(epoll_fd, events, EVENTS, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct conn *c = &all[events[i].data.u64 >> 32];
        if (c->fd < 0 || c->generation != (uint32_t)events[i].data.u64)
            continue;
        conn_event(c, events[i].events);
        slot_settle();
    }
}
