/* An OpenAI-compatible server that answers by script, cheaply enough to share a core with the load.
 *
 * The model's name is the script: `instant-N` sends N chunks at once, `paced-N-MS` one each MS
 * milliseconds, `unary-BYTES` a whole body. Each chunk carries `@SEQ:MICROS ` (CLOCK_MONOTONIC), so
 * that the load generator can tell how long it was on its way and whether one is missing.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FDS = 65536, IN_SIZE = 64 * 1024, EVENTS = 512, CHUNK_ROOM = 640 };

typedef struct {
  int fd;
  char *in;          /* the request so far */
  size_t in_length;
  char *out;         /* what the socket did not take yet */
  size_t out_length, out_capacity;
  int chunks, next;  /* of the answer under way; chunks = 0: none */
  long pace_us;
  long due_us;
  int heap_index;    /* -1: not waiting */
  int writing;       /* the poller waits for room to write */
} Conn;

static Conn *conns[MAX_FDS];
static Conn *heap[MAX_FDS];
static int heap_count;
static int poller;

static long now_us(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000L + t.tv_nsec / 1000;
}

static void heap_put(int index, Conn *conn) {
  heap[index] = conn;
  conn->heap_index = index;
}

static void heap_up(int index, Conn *conn) {
  while (index > 0 && heap[(index - 1) / 2]->due_us > conn->due_us) {
    heap_put(index, heap[(index - 1) / 2]);
    index = (index - 1) / 2;
  }
  heap_put(index, conn);
}

static void heap_down(int index, Conn *conn) {
  for (;;) {
    int child = 2 * index + 1;
    if (child >= heap_count) break;
    if (child + 1 < heap_count && heap[child + 1]->due_us < heap[child]->due_us) child++;
    if (heap[child]->due_us >= conn->due_us) break;
    heap_put(index, heap[child]);
    index = child;
  }
  heap_put(index, conn);
}

static void heap_add(Conn *conn) { heap_up(heap_count++, conn); }

static void heap_remove(Conn *conn) {
  int index = conn->heap_index;
  if (index < 0) return;
  conn->heap_index = -1;
  Conn *last = heap[--heap_count];
  if (last == conn) return;
  if (index > 0 && heap[(index - 1) / 2]->due_us > last->due_us) heap_up(index, last);
  else heap_down(index, last);
}

static void drop(Conn *conn) {
  heap_remove(conn);
  conns[conn->fd] = NULL;
  close(conn->fd);
  free(conn->in);
  free(conn->out);
  free(conn);
}

/* Only on a change: a system call a chunk would be a good part of what this program costs. */
static void watch(Conn *conn, int writable) {
  if (conn->writing == writable) return;
  conn->writing = writable;
  struct epoll_event event = {.events = EPOLLIN | (writable ? EPOLLOUT : 0), .data.fd = conn->fd};
  epoll_ctl(poller, EPOLL_CTL_MOD, conn->fd, &event);
}

static void append(Conn *conn, const char *data, size_t length) {
  if (conn->out_length + length > conn->out_capacity) {
    conn->out_capacity = (conn->out_length + length) * 2;
    conn->out = realloc(conn->out, conn->out_capacity);
  }
  memcpy(conn->out + conn->out_length, data, length);
  conn->out_length += length;
}

/* Returns 0 where the peer is gone. */
static int flush(Conn *conn) {
  size_t sent = 0;
  while (sent < conn->out_length) {
    ssize_t count = send(conn->fd, conn->out + sent, conn->out_length - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EAGAIN) break;
    if (count <= 0) return 0;
    sent += (size_t)count;
  }
  memmove(conn->out, conn->out + sent, conn->out_length - sent);
  conn->out_length -= sent;
  watch(conn, conn->out_length > 0);
  return 1;
}

static void add_framed(Conn *conn, const char *text) {
  char size[16];
  int length = snprintf(size, sizeof size, "%zx\r\n", strlen(text));
  append(conn, size, (size_t)length);
  append(conn, text, strlen(text));
  append(conn, "\r\n", 2);
}

static void add_event(Conn *conn, const char *delta, const char *finish) {
  char event[CHUNK_ROOM];
  snprintf(event, sizeof event,
      "data: {\"id\":\"chatcmpl-BenchBenchBenchBench\",\"object\":\"chat.completion.chunk\","
      "\"created\":1700000000,\"model\":\"bench-model\",\"service_tier\":\"default\","
      "\"system_fingerprint\":\"fp_0123456789\",\"choices\":[{\"index\":0,\"delta\":{%s},"
      "\"logprobs\":null,\"finish_reason\":%s}],\"usage\":null}\n\n", delta, finish);
  add_framed(conn, event);
}

static void add_chunk(Conn *conn) {
  char delta[96];
  snprintf(delta, sizeof delta, "\"content\":\"@%d:%ld abcdefgh\"", conn->next++, now_us());
  add_event(conn, delta, "null");
}

static void add_end(Conn *conn) {
  add_event(conn, "", "\"stop\"");
  add_framed(conn,
      "data: {\"id\":\"chatcmpl-BenchBenchBenchBench\",\"object\":\"chat.completion.chunk\","
      "\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":100,"
      "\"total_tokens\":109}}\n\n");
  add_framed(conn, "data: [DONE]\n\n");
  append(conn, "0\r\n\r\n", 5);
  conn->chunks = 0;
}

static void start_stream(Conn *conn, int chunks, long pace_us) {
  static const char head[] =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
      "x-request-id: req_bench\r\n\r\n";
  append(conn, head, sizeof head - 1);
  add_event(conn, "\"role\":\"assistant\",\"content\":\"\"", "null");
  conn->chunks = chunks;
  conn->next = 0;
  conn->pace_us = pace_us;
  if (pace_us == 0) {
    while (conn->next < chunks) add_chunk(conn);
    add_end(conn);
    return;
  }
  add_chunk(conn);
  conn->due_us = now_us() + pace_us;
  heap_add(conn);
}

static void answer_whole(Conn *conn, int bytes) {
  char text[8192], body[9216], head[256];
  if (bytes > 8000) bytes = 8000;
  memset(text, 'a', (size_t)bytes);
  text[bytes] = 0;
  int length = snprintf(body, sizeof body,
      "{\"id\":\"chatcmpl-Bench\",\"object\":\"chat.completion\",\"created\":1700000000,"
      "\"model\":\"bench-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
      "\"content\":\"%s\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,"
      "\"completion_tokens\":50,\"total_tokens\":59}}", text);
  int head_length = snprintf(head, sizeof head,
      "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
      "x-request-id: req_bench\r\n\r\n", length);
  append(conn, head, (size_t)head_length);
  append(conn, body, (size_t)length);
}

static void answer(Conn *conn, const char *body) {
  const char *model = strstr(body, "\"model\"");
  int first = 0, second = 0;
  if (model) model = strchr(model + 7, '"');
  if (model) model++;
  if (model && sscanf(model, "instant-%d", &first) == 1) start_stream(conn, first, 0);
  else if (model && sscanf(model, "paced-%d-%d", &first, &second) == 2)
    start_stream(conn, first, second * 1000L);
  else if (model && sscanf(model, "unary-%d", &first) == 1) answer_whole(conn, first);
  else append(conn, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", 45);
}

/* Takes whole requests off the front; returns 0 where the peer is gone. */
static int take_requests(Conn *conn) {
  for (;;) {
    conn->in[conn->in_length] = 0;
    char *end = strstr(conn->in, "\r\n\r\n");
    if (!end) return 1;
    char *field = strcasestr(conn->in, "content-length:");
    size_t body = field && field < end ? strtoul(field + 15, NULL, 10) : 0;
    size_t whole = (size_t)(end + 4 - conn->in) + body;
    if (conn->in_length < whole) return whole < IN_SIZE;
    char kept = conn->in[whole];
    conn->in[whole] = 0;
    answer(conn, end + 4);
    conn->in[whole] = kept;
    memmove(conn->in, conn->in + whole, conn->in_length - whole);
    conn->in_length -= whole;
    if (!flush(conn)) return 0;
  }
}

static void readable(Conn *conn) {
  ssize_t count = recv(conn->fd, conn->in + conn->in_length, IN_SIZE - 1 - conn->in_length, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    drop(conn);
    return;
  }
  conn->in_length += (size_t)count;
  if (!take_requests(conn)) drop(conn);
}

static void accept_all(int listener) {
  int fd, yes = 1;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    if (fd >= MAX_FDS) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    Conn *conn = calloc(1, sizeof *conn);
    conn->fd = fd;
    conn->in = malloc(IN_SIZE);
    conn->heap_index = -1;
    conns[fd] = conn;
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
  }
}

static void send_due(void) {
  long now = now_us();
  while (heap_count > 0 && heap[0]->due_us <= now) {
    Conn *conn = heap[0];
    heap_remove(conn);
    add_chunk(conn);
    if (conn->next >= conn->chunks) add_end(conn);
    else {
      conn->due_us += conn->pace_us;
      heap_add(conn);
    }
    if (!flush(conn)) drop(conn);
  }
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 4096)) {
    perror("upstream");
    exit(1);
  }
  getsockname(fd, (struct sockaddr *)&address, &length);
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int count, char **words) {
  struct rlimit files = {MAX_FDS, MAX_FDS};
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  poller = epoll_create1(0);
  int listener = listen_on(count > 1 ? atoi(words[1]) : 0);
  struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    long wait = heap_count ? (heap[0]->due_us - now_us() + 999) / 1000 : 1000;
    int ready = epoll_wait(poller, events, EVENTS, wait < 0 ? 0 : (int)wait);
    for (int i = 0; i < ready; i++) {
      if (events[i].data.fd == listener) {
        accept_all(listener);
        continue;
      }
      Conn *conn = conns[events[i].data.fd];
      if (conn && events[i].events & EPOLLOUT && !flush(conn)) {
        drop(conn);
        continue;
      }
      if (conn && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(conn);
    }
    send_due();
  }
}
