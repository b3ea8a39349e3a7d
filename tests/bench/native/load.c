/* The load generator: so many connections, one request at a time on each, every answer checked. Prints JSON.
 *
 *   load port=P [connections=1] [requests=N] [seconds=S] [body=4096] [events=0] [text='every_us=10000 ...']
 *        [path=/v1/messages] [header='x-api-key: K']...
 *
 * `events` and `text` are for the mock upstream and travel in the body, see upstream.c. An answer is good when its status
 * is 200, its framing is whole, it has as many stamped events as were asked for and ends as an answer of its kind does.
 * `hash` is FNV-1a over the body of the first answer without its times; `differing` counts answers with another one.
 * Times are in microseconds: of the whole answer, of the first byte of its body, of an event from the mock's write to the
 * read here, of waiting for the next event longer or shorter than between the two writes (`gap`).
 */
#include "http.h"
#include <sys/resource.h>

#define TAIL 64
#define STUCK_NS 20000000000ull /* nothing arrives any more */
#define DIGITS 16

struct samples {
    float *us;
    size_t count, room;
};

struct connection {
    int fd, in_body, until_end, asking, replayed, status, matched;
    char *request;
    size_t sent, got, tailed;
    char head[MAX_HEAD], tail[TAIL];
    struct body body;
    uint64_t began, first, stamp, last_stamp, last_read, hash;
    int64_t bytes, events;
    int digits;
};

static struct samples latency, first_byte, event_delay, gap;
static long started, finished, good, closed, bad_status, wrong, stuck, reconnects, differing, first_bad_status, events_seen;
static uint64_t first_hash, read_at;
static long asked_events;
static int poller, port;
static size_t request_length, session_at, id_at;

static void keep(struct samples *s, double us) {
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 4096;
        if (!(s->us = realloc(s->us, s->room * sizeof *s->us))) die("realloc");
    }
    s->us[s->count++] = (float)us;
}

static void connect_to(struct connection *c) {
    struct sockaddr_in address = loopback(port);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    fast_socket(c->fd);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &e);
}

static void send_more(struct connection *c) {
    while (c->sent < request_length) {
        ssize_t n = send(c->fd, c->request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return; /* the read that follows tells why */
            struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
            epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
            return;
        }
        c->sent += (size_t)n;
        if (c->sent == request_length && c->sent > (size_t)n) {
            struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
        }
    }
}

static void put_number(char *to, int digits, long number) {
    for (char *p = to + digits; p-- > to; number /= 10) *p = (char)('0' + number % 10);
}

static void ask_again(struct connection *c) { /* the same request, on a new connection */
    c->in_body = c->until_end = c->matched = c->digits = 0;
    c->sent = c->got = c->tailed = 0;
    c->bytes = c->events = 0;
    c->first = c->last_stamp = 0;
    c->hash = 14695981039346656037ull;
    send_more(c);
}

static void ask(struct connection *c) {
    started++;
    put_number(c->request + id_at, 10, started);
    c->asking = 1, c->replayed = 0;
    c->began = now_ns();
    ask_again(c);
}

/* Hash the content, and take the times out of it, wherever it was cut. */
static void take(void *whose, const char *bytes, size_t n) {
    struct connection *c = whose;
    if (!c->first && n) c->first = read_at;
    c->bytes += (int64_t)n;
    uint64_t hash = c->hash;
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)bytes[i];
        if (c->matched == 2) {
            c->stamp = c->stamp * 10 + (uint64_t)(b - '0');
            b = '0';
            if (++c->digits == DIGITS) {
                c->events++, events_seen++;
                keep(&event_delay, ((double)read_at - (double)c->stamp) / 1e3);
                if (c->last_stamp)
                    keep(&gap, ((double)(read_at - c->last_read) - (double)(c->stamp - c->last_stamp)) / 1e3);
                c->last_stamp = c->stamp, c->last_read = read_at;
                c->matched = 0;
            }
        } else if (b == (unsigned char)STAMP[c->matched]) {
            if (++c->matched == 2) c->stamp = 0, c->digits = 0;
        } else {
            c->matched = b == (unsigned char)STAMP[0];
        }
        hash = (hash ^ b) * 1099511628211ull;
    }
    c->hash = hash;
    size_t part = n < TAIL ? n : TAIL, stay = c->tailed + part > TAIL ? TAIL - part : c->tailed;
    memmove(c->tail, c->tail + c->tailed - stay, stay);
    memcpy(c->tail + stay, bytes + n - part, part);
    c->tailed = stay + part;
}

static int ends_well(const struct connection *c) {
    const char *mark = asked_events ? "\"message_stop\"}" : "}";
    size_t length = strlen(mark), end = c->tailed;
    while (end && (c->tail[end - 1] == '\n' || c->tail[end - 1] == ' ')) end--;
    if (end >= length && !memcmp(c->tail + end - length, mark, length)) return 1;
    return asked_events && memmem(c->tail, c->tailed, "message_stop", 12) != NULL; /* written anew by a proxy */
}

static void finish(struct connection *c) {
    finished++;
    c->asking = 0;
    if (c->status != 200) {
        if (!bad_status++) {
            first_bad_status = c->status;
            fprintf(stderr, "status %d: %.*s\n", c->status, (int)c->tailed, c->tail);
        }
        return;
    }
    if (c->events != asked_events || !c->bytes || !ends_well(c)) {
        if (!wrong++)
            fprintf(stderr, "wrong: %ld events, %ld bytes, ends %.*s\n", (long)c->events, (long)c->bytes, (int)c->tailed, c->tail);
        return;
    }
    good++;
    keep(&latency, (double)(read_at - c->began) / 1e3);
    keep(&first_byte, (double)(c->first - c->began) / 1e3);
    if (!first_hash) first_hash = c->hash;
    if (c->hash != first_hash) differing++;
}

static void renew(struct connection *c) {
    close(c->fd);
    reconnects++;
    connect_to(c);
}

static void lost(struct connection *c) {
    if (c->asking && c->until_end) { /* this was its end */
        finish(c);
        renew(c);
    } else if (c->asking && !c->got && !c->in_body && !c->replayed) { /* it had been closed before we asked */
        renew(c);
        c->replayed = 1;
        ask_again(c);
    } else {
        if (c->asking) closed++, finished++;
        c->asking = 0;
        renew(c);
    }
}

static void receive(struct connection *c) {
    static char in[1 << 18];
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n < 0 && errno == EAGAIN) return;
    read_at = now_ns();
    if (n <= 0) { lost(c); return; }
    const char *from = in, *to = in + n;
    while (from < to && c->asking) {
        if (!c->in_body) {
            size_t part = (size_t)(to - from), room = MAX_HEAD - 1 - c->got;
            if (part > room) part = room;
            memcpy(c->head + c->got, from, part);
            c->head[c->got + part] = 0;
            char *blank = strstr(c->head + (c->got > 3 ? c->got - 3 : 0), "\r\n\r\n");
            if (!blank) {
                if (part == room) die("a head is larger than it may be");
                c->got += part;
                return;
            }
            from += (size_t)(blank + 4 - c->head) - c->got;
            blank[4] = 0;
            c->got = 0;
            c->status = atoi(c->head + 9);
            if (c->status < 200) continue;
            int chunked = has_chunks(c->head);
            int64_t length = content_length(c->head);
            c->until_end = !chunked && length < 0;
            body_begin(&c->body, chunked, c->until_end ? INT64_MAX : length);
            c->in_body = 1;
        }
        ssize_t used = body_feed(&c->body, from, (size_t)(to - from), take, c);
        if (used < 0) die("a chunk cannot be read");
        from += used;
        if (c->body.done) finish(c);
    }
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void tell(const char *name, struct samples *s) {
    qsort(s->us, s->count, sizeof *s->us, ascending);
    double sum = 0;
    for (size_t i = 0; i < s->count; i++) sum += (double)s->us[i];
    size_t n = s->count;
    if (!n) { printf(",\"%s\":null", name); return; }
    printf(",\"%s\":{\"count\":%zu,\"min\":%.1f,\"mean\":%.1f,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, n,
           (double)s->us[0], sum / (double)n, (double)s->us[n / 2], (double)s->us[n * 9 / 10],
           (double)s->us[n * 99 / 100], (double)s->us[n - 1]);
}

int main(int argc, char **argv) {
    const char *path = "/v1/messages", *text = "";
    char headers[4096] = "";
    long connections = 1, requests = 0, body_bytes = 4096;
    double seconds = 0;
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) { fprintf(stderr, "not NAME=VALUE: %s\n", argv[i]); return 2; }
        size_t n = (size_t)(value++ - argv[i]);
#define IS(name) (n == strlen(name) && !strncmp(argv[i], name, n))
        if (IS("port")) port = atoi(value);
        else if (IS("connections")) connections = atol(value);
        else if (IS("requests")) requests = atol(value);
        else if (IS("seconds")) seconds = atof(value);
        else if (IS("body")) body_bytes = atol(value);
        else if (IS("events")) asked_events = atol(value);
        else if (IS("text")) text = value;
        else if (IS("path")) path = value;
        else if (IS("header")) {
            size_t used = strlen(headers);
            if ((size_t)snprintf(headers + used, sizeof headers - used, "%s\r\n", value) >= sizeof headers - used) return 2;
        } else { fprintf(stderr, "unknown: %s\n", argv[i]); return 2; }
    }
    if (!requests && seconds <= 0) requests = 1;
    if (!requests) requests = INT32_MAX;

    size_t room = (size_t)body_bytes + 8192;
    char *request = malloc(room), *body = malloc(room);
    if (!request || !body) die("malloc");
    int n = snprintf(body, room, "{\"model\":\"claude-sonnet-4-5\",\"max_tokens\":1024,%s\"messages\":[{\"role\":\"user\",\"content\":"
                     "\"[[id=0000000000 events=%ld %s]] ", asked_events ? "\"stream\":true," : "", asked_events, text);
    size_t body_length = (size_t)n, id_in_body = (size_t)(strstr(body, "[[id=") + 5 - body);
    while ((long)body_length < body_bytes - 4) body[body_length++] = 'a';
    body_length += (size_t)snprintf(body + body_length, 8, "\"}]}");
    n = snprintf(request, room, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: bench\r\naccept: application/json\r\n"
                 "content-type: application/json\r\nanthropic-version: 2023-06-01\r\nx-claude-code-session-id: "
                 "00000000-0000-4000-8000-000000000000\r\n%scontent-length: %zu\r\n\r\n", path, port, headers, body_length);
    session_at = (size_t)(strstr(request, "session-id: ") - request) + strlen("session-id: ") + 24;
    id_at = (size_t)n + id_in_body;
    memcpy(request + n, body, body_length);
    request_length = (size_t)n + body_length;

    poller = epoll_create1(0);
    struct connection **all = calloc((size_t)connections, sizeof *all);
    if (!all) die("calloc");
    for (long i = 0; i < connections; i++) {
        struct connection *c = all[i] = calloc(1, sizeof **all);
        if (!c || !(c->request = malloc(request_length))) die("malloc");
        memcpy(c->request, request, request_length);
        put_number(c->request + session_at, 12, i + 1);
        connect_to(c);
    }
    uint64_t began = now_ns(), until = seconds > 0 ? began + (uint64_t)(seconds * 1e9) : UINT64_MAX, heard = began;
    for (long i = 0; i < connections && started < requests; i++) ask(all[i]);
    struct epoll_event events[256];
    while (finished < started) {
        int ready = epoll_wait_ns(poller, events, 256, 100000000);
        uint64_t now = now_ns();
        if (ready) heard = now;
        else if (now - heard > STUCK_NS) { stuck = started - finished; break; }
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT && c->asking) send_more(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
            if (!c->asking && started < requests && now_ns() < until) ask(c);
        }
    }
    double elapsed = (double)(now_ns() - began) / 1e9;
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"requests\":%ld,\"good\":%ld,\"closed\":%ld,\"bad_status\":%ld,\"first_bad_status\":%ld,\"wrong\":%ld,\"stuck\":%ld,"
           "\"reconnects\":%ld,\"differing\":%ld,\"hash\":\"%016llx\",\"events\":%ld,\"elapsed_s\":%.6f,\"cpu_s\":%.3f",
           started, good, closed, bad_status, first_bad_status, wrong, stuck, reconnects, differing,
           (unsigned long long)first_hash, events_seen, elapsed,
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    tell("latency", &latency);
    tell("first_byte", &first_byte);
    tell("event_delay", &event_delay);
    tell("gap", &gap);
    printf("}\n");
    return 0;
}
