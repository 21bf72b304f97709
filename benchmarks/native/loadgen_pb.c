/* The gRPC request and the few fields of a response that matter, without a protobuf library. */
#include "loadgen.h"

#include <string.h>

static void add_field(struct bytes *out, char number, const char *data, size_t len)
{
    char head[11] = {(char)(number << 3 | 2)};
    size_t n = 1, rest = len;
    for (; rest > 127; rest >>= 7)
        head[n++] = (char)(rest | 128);
    head[n++] = (char)rest;
    bytes_add(out, head, n);
    bytes_add(out, data, len);
}

/* {input(1): {model(1), messages(2): {role(1)=2, parts(2): {text(1)="hi"}}}}, the same for both methods. */
void pb_request(struct bytes *out)
{
    static const char message[] = "\x08\x02\x12\x04\x0a\x02hi";
    struct bytes input = {0};
    add_field(&input, 1, opt.model, strlen(opt.model));
    add_field(&input, 2, message, sizeof message - 1);
    add_field(out, 1, input.data, input.len);
}

struct field {
    uint64_t number;
    int wire;
    const char *data; /* of a length-delimited field */
    size_t len;
};

static bool read_varint(const char **p, const char *end, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; *p < end && shift < 64; shift += 7) {
        unsigned char c = (unsigned char)*(*p)++;
        *value |= (uint64_t)(c & 127) << shift;
        if (c < 128)
            return true;
    }
    return false;
}

static bool read_field(const char **p, const char *end, struct field *f)
{
    uint64_t value;
    if (!read_varint(p, end, &value))
        return false;
    f->number = value >> 3;
    f->wire = (int)(value & 7);
    f->data = NULL;
    f->len = 0;
    if (f->wire == 0)
        return read_varint(p, end, &value);
    if (f->wire == 1)
        value = 8;
    else if (f->wire == 5)
        value = 4;
    else if (f->wire != 2 || !read_varint(p, end, &value))
        return false;
    if (value > (uint64_t)(end - *p))
        return false;
    f->data = *p;
    f->len = (size_t)value;
    *p += value;
    return true;
}

static void read_delta(struct slot *s, const char *p, size_t n, uint64_t now)
{
    const char *end = p + n;
    struct field f;
    while (p < end) {
        if (!read_field(&p, end, &f)) {
            s->defect = "a delta that is not protobuf";
            return;
        }
        if (f.number == 1 && f.wire == 2)
            slot_text(s, f.data, f.len, now);
    }
}

void pb_response(struct slot *s, const char *p, size_t n, uint64_t now)
{
    const char *end = p + n;
    struct field f;
    res.messages++;
    if (opt.unary) {
        s->finished = n > 0;
        return;
    }
    while (p < end) {
        if (!read_field(&p, end, &f)) {
            s->defect = "a message that is not protobuf";
            return;
        }
        if (f.number == 1 && f.wire == 2)
            read_delta(s, f.data, f.len, now);
        else if (f.number == 4 && f.wire == 2)
            s->finished = true;
    }
}
