/* What the mock upstream and the load generator share: time, sockets, heads, chunked bodies. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_HEAD 16384
#define STAMP "@t" /* before the 16 digits of a time in an event, see upstream.c */

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void fast_socket(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline int epoll_wait_ns(int poll, struct epoll_event *events, int most, int64_t ns) {
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    int n = epoll_pwait2(poll, events, most, ns < 0 ? NULL : &t, NULL);
    if (n < 0 && errno != EINTR) die("epoll_pwait2");
    return n < 0 ? 0 : n;
}

/* The value of a header in a head that ends with a blank line; NULL when it is not there. */
static inline const char *header(const char *head, const char *name, size_t *length) {
    size_t named = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, named) || line[2 + named] != ':') continue;
        const char *value = line + 3 + named;
        while (*value == ' ') value++;
        *length = strcspn(value, "\r");
        return value;
    }
    return NULL;
}

static inline int has_chunks(const char *head) {
    size_t length;
    const char *value = header(head, "transfer-encoding", &length);
    return value && length == 7 && !strncasecmp(value, "chunked", 7);
}

static inline int64_t content_length(const char *head) {
    size_t length;
    const char *value = header(head, "content-length", &length);
    return value ? atoll(value) : -1;
}

/* A body on its way in: `left` bytes by its length, or by chunks. Trailers are not understood, nobody sends them. */
struct body {
    int chunked, done;
    int64_t left;                                         /* of the body, or of this chunk */
    enum { SIZE, EXTENSION, CONTENT, AFTER, LAST } state; /* of chunks; LAST: the blank line behind the last one */
};

static inline void body_begin(struct body *b, int chunked, int64_t length) {
    *b = (struct body){.chunked = chunked, .left = chunked ? 0 : length, .done = !chunked && length <= 0};
}

/* Take what belongs to the body off `in` and hand its content on. Returns how many bytes that was, -1 when it is broken. */
static inline ssize_t body_feed(struct body *b, const char *in, size_t n, void (*content)(void *, const char *, size_t),
                                void *whose) {
    size_t i = 0;
    while (i < n && !b->done) {
        if (!b->chunked || b->state == CONTENT) {
            size_t part = (uint64_t)b->left < n - i ? (size_t)b->left : n - i;
            content(whose, in + i, part);
            i += part;
            if (b->left -= (int64_t)part) continue;
            if (b->chunked) b->state = AFTER;
            else b->done = 1;
            continue;
        }
        char c = in[i++];
        if (b->state == SIZE || b->state == EXTENSION) {
            if (c == '\n') b->state = b->left ? CONTENT : LAST;
            else if (c == ';' || c == '\r') b->state = EXTENSION;
            else if (b->state == SIZE) {
                int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
                if (digit < 0 || b->left > INT64_MAX >> 8) return -1;
                b->left = b->left * 16 + digit;
            }
        } else if (c == '\n') {
            if (b->state == LAST) b->done = 1;
            b->state = SIZE;
        } else if (c != '\r') {
            return -1;
        }
    }
    return (ssize_t)i;
}

#endif
