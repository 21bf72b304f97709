/* Options, the event loop and the report of the load generator; loadgen.h says what the other files do. */
#include "loadgen.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct options opt = {.host = "127.0.0.1", .model = "test", .done = "data: [DONE]", .conns = 4, .streams = 1,
                      .timeout_s = 120};
const struct protocol *proto = &sse_protocol;

static const struct option flags[] = {
    {"host", 1, 0, 'h'},    {"port", 1, 0, 'p'},  {"proto", 1, 0, 'P'},  {"path", 1, 0, 'u'},
    {"model", 1, 0, 'm'},   {"streams", 1, 0, 's'}, {"total", 1, 0, 't'}, {"conns", 1, 0, 'c'},
    {"unary", 0, 0, 'U'},   {"churn", 0, 0, 'C'}, {"ramp", 1, 0, 'r'},   {"expect-chunks", 1, 0, 'e'},
    {"timeout", 1, 0, 'T'}, {"header", 1, 0, 'H'}, {"body", 1, 0, 'b'},  {"done", 1, 0, 'd'},
    {0},
};

uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static _Noreturn void usage(const char *what)
{
    fprintf(stderr,
            "loadgen: %s\n"
            "usage: loadgen --port N [--proto grpc|sse] [--host IPV4] [--path P] [--model M] [--streams N]\n"
            "  [--total N] [--conns N] [--unary] [--churn] [--ramp SECONDS] [--expect-chunks N]\n"
            "  [--timeout SECONDS] [--header 'NAME: VALUE']... [--body JSON] [--done LINE]\n",
            what);
    exit(2);
}

static double number(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value < 1e15))
        usage("not a number");
    return value;
}

static void add_header(const char *text)
{
    if (opt.header_count == MAX_HEADERS || !strchr(text, ':'))
        usage("--header is NAME: VALUE, 16 at most");
    opt.headers[opt.header_count++] = text;
}

static void set_proto(const char *text)
{
    opt.grpc = !strcmp(text, "grpc");
    if (!opt.grpc && strcmp(text, "sse"))
        usage("--proto is grpc or sse");
}

static void set_flag(int flag)
{
    switch (flag) {
    case 'h': opt.host = optarg; break;
    case 'p': opt.port = (int)number(optarg); break;
    case 'P': set_proto(optarg); break;
    case 'u': opt.path = optarg; break;
    case 'm': opt.model = optarg; break;
    case 's': opt.streams = (uint64_t)number(optarg); break;
    case 't': opt.total = (uint64_t)number(optarg); break;
    case 'c': opt.conns = (int)number(optarg); break;
    case 'U': opt.unary = true; break;
    case 'C': opt.churn = true; break;
    case 'r': opt.ramp_s = number(optarg); break;
    case 'e': opt.expect_chunks = (uint64_t)number(optarg); break;
    case 'T': opt.timeout_s = number(optarg); break;
    case 'H': add_header(optarg); break;
    case 'b': opt.body = optarg; break;
    case 'd': opt.done = optarg; break;
    default: usage("unknown option");
    }
}

static void parse(int argc, char **argv)
{
    int flag;
    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1)
        set_flag(flag);
    if (optind < argc || opt.port < 1 || opt.port > 65535 || !opt.streams || opt.conns < 1)
        usage("--port, --streams and --conns must be positive");
    if (!opt.total)
        opt.total = opt.streams;
    if (opt.streams > opt.total)
        opt.streams = opt.total;
    if (!opt.path && opt.grpc)
        opt.path = opt.unary ? "/llmgateway.v1.GenerationService/Generate"
                             : "/llmgateway.v1.GenerationService/GenerateStream";
    if (!opt.path)
        opt.path = "/v1/chat/completions";
    if (strlen(opt.done) >= LINE_START)
        usage("--done is too long");
    /* Only gRPC can share a connection. */
    if (!opt.grpc || opt.churn || (uint64_t)opt.conns > opt.streams)
        opt.conns = (int)opt.streams;
}

/* Opens every first stream that is due and returns how long to sleep at most. */
static int open_due(struct slot *slots, uint64_t *opened, uint64_t begin, uint64_t deadline)
{
    uint64_t now = now_us(), next = deadline;
    while (*opened < opt.streams) {
        next = begin + (uint64_t)(opt.ramp_s * 1e6 * (double)*opened / (double)opt.streams);
        if (next > now)
            break;
        slot_begin(&slots[(*opened)++]);
        next = deadline;
    }
    slot_settle();
    if (next > deadline)
        next = deadline;
    return next > now ? (int)((next - now) / 1000) + 1 : 0;
}

static double run(void)
{
    struct conn *conns = calloc((size_t)opt.conns, sizeof *conns);
    struct slot *slots = calloc(opt.streams, sizeof *slots);
    if (!conns || !slots)
        usage("out of memory");
    for (int i = 0; i < opt.conns; i++)
        conn_make(&conns[i], (uint32_t)i);
    for (uint64_t i = 0; i < opt.streams; i++)
        slots[i].conn = &conns[i % (uint64_t)opt.conns];
    uint64_t begin = now_us(), opened = 0, deadline = begin + (uint64_t)(opt.timeout_s * 1e6);
    while (res.ok + res.errors < opt.total && now_us() < deadline) {
        int sleep_ms = open_due(slots, &opened, begin, deadline);
        if (res.ok + res.errors < opt.total)
            conn_wait(conns, sleep_ms);
    }
    return (double)(now_us() - begin) / 1e6;
}

static void print_times(const char *name, const struct hist *h)
{
    /* Without a sample there is no latency: null, so that nobody reads it as zero. */
    if (h->count)
        printf("\"%s\":{\"p50\":%.3f,\"p99\":%.3f},", name, hist_quantile_ms(h, .5), hist_quantile_ms(h, .99));
    else
        printf("\"%s\":{\"p50\":null,\"p99\":null},", name);
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void report(double wall_s)
{
    struct rusage used;
    uint64_t unfinished = opt.total - res.ok - res.errors;
    getrusage(RUSAGE_SELF, &used);
    if (unfinished)
        fprintf(stderr, "loadgen: %llu streams unfinished at the timeout\n", (unsigned long long)unfinished);
    printf("{\"ok\":%llu,\"errors\":%llu,\"seq_errors\":%llu,\"chunks\":%llu,\"messages\":%llu,\"wall_s\":%.6f,",
           (unsigned long long)res.ok, (unsigned long long)(res.errors + unfinished),
           (unsigned long long)res.seq_errors, (unsigned long long)res.chunks, (unsigned long long)res.messages,
           wall_s);
    print_times("ttft_ms", &res.ttft);
    print_times("chunk_ms", &res.chunk);
    print_times("total_ms", &res.total);
    printf("\"peak_in_flight\":%llu,\"cpu_s\":%.6f}\n", (unsigned long long)res.peak_in_flight,
           seconds(used.ru_utime) + seconds(used.ru_stime));
}

int main(int argc, char **argv)
{
    parse(argc, argv);
    if (opt.grpc)
        proto = &grpc_protocol;
    signal(SIGPIPE, SIG_IGN);
    conn_setup();
    if (opt.grpc)
        grpc_prepare();
    else
        sse_prepare();
    report(run());
    return 0;
}
