/* The mock upstream: a provider that answers at once, as far as one thread on loopback can.
 *
 *   upstream [PORT]        prints "PORT" on a line of its own and serves until it is killed
 *
 * What to answer stands in the text of the request's body, so that it comes through every proxy: [[events=3 every_us=10]].
 *   events=N    a stream with N deltas, each with the time of its write; 0 or none: a JSON answer of about 1 KB
 *   every_us=T  between two deltas of a stream; 0: as fast as the socket takes them
 *   delay_us=T  before the answer
 *   refuse=1 id=N   429 without any rate-limit header when N comes for the first time, an answer when it comes again
 * A key that contains "spent" gets 429 with its limits, always. Keys that begin with sk-ant-oat get a subscription's
 * headers. Every key has an organisation of its own. GET /bench/counts tells what was asked.
 * Every event is one chunk and one write.
 */
#include "http.h"

#define MAX_FD 8192
#define KEPT 8192          /* bytes of a body that the directive must stand in */
#define PENDING 16384      /* bytes that wait for a slow reader; a stream stops producing while any wait */
#define IDS 65536
#define TURN 64            /* events of one unpaced stream before the others have their turn */

struct connection {
    int fd, open, reading_body;
    char head[MAX_HEAD];
    size_t got;
    struct body body;
    char text[KEPT + 1];
    size_t text_length;
    char token[128];
    int get, counts, close_after;
    /* the answer */
    int answering, started, left, number;
    uint64_t at, every_ns;
    char out[PENDING];
    size_t out_from, out_to;
    int writable_wanted;
};

static struct connection *connections[MAX_FD];
static int poller, active[MAX_FD], actives;
static uint64_t next_at = UINT64_MAX;
static uint32_t refused[IDS];
static long requests, streams, refusals, accepted, cut;
static char reset_at[32], reset_s[24], date[48];

static const char *const JSON =
    "{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[{\"type\":"
    "\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":1024,"
    "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":512,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,"
    "\"ephemeral_1h_input_tokens\":0},\"output_tokens\":160,\"service_tier\":\"standard\"}}";
static const char *const START =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_bench\",\"type\":\"message\",\"role\":"
    "\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{"
    "\"input_tokens\":1024,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":512,\"output_tokens\":1}}}\n\n";
static const char *const BLOCK =
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
    "\"text\":\"\"}}\n\n";
static const char *const DELTA =
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
    "\"" STAMP "%016llu \"}}\n\n";
static const char *const END =
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},"
    "\"usage\":{\"output_tokens\":%d}}\n\n"
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
static char answer[2048];

static void tell_time(void) { /* once a second */
    static time_t told;
    time_t now = time(NULL), reset = now + 60;
    if (now == told) return;
    told = now;
    struct tm t;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &t));
    strftime(reset_at, sizeof reset_at, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&reset, &t));
    snprintf(reset_s, sizeof reset_s, "%lld", (long long)(now / 3600 + 4) * 3600);
}

static void flush(struct connection *c);

static void done(struct connection *c) {
    c->answering = 0;
    for (int i = 0; i < actives; i++)
        if (active[i] == c->fd) { active[i] = active[--actives]; break; }
}

static void end(struct connection *c) {
    if (c->answering) cut++, done(c);
    close(c->fd);
    c->open = 0;
}

/* `length` bytes into what waits for the socket; never called when they would not fit. */
static void put(struct connection *c, const char *bytes, size_t length) {
    if (c->out_from) {
        memmove(c->out, c->out + c->out_from, c->out_to - c->out_from);
        c->out_to -= c->out_from;
        c->out_from = 0;
    }
    if (c->out_to + length > PENDING) die("an answer is larger than it may be");
    memcpy(c->out + c->out_to, bytes, length);
    c->out_to += length;
}

static void put_chunk(struct connection *c, const char *bytes, size_t length) {
    char frame[16];
    put(c, frame, (size_t)snprintf(frame, sizeof frame, "%zx\r\n", length));
    put(c, bytes, length);
    put(c, "\r\n", 2);
}

static long directive(const struct connection *c, const char *name) {
    const char *from = strstr(c->text, "[["), *to = from ? strstr(from, "]]") : NULL;
    size_t named = strlen(name);
    for (; from && from < to; from++)
        if (!strncmp(from, name, named) && from[named] == '=' && (from[-1] == '[' || from[-1] == ' '))
            return atol(from + named + 1);
    return 0;
}

static void put_head(struct connection *c, const char *status, const char *type, const char *framing, int spent) {
    char head[2048];
    uint32_t who = 2166136261u; /* FNV-1a: an organisation for every key */
    for (const char *p = c->token; *p; p++) who = (who ^ (unsigned char)*p) * 16777619u;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %s\r\ndate: %s\r\ncontent-type: %s\r\n%srequest-id: req_bench\r\n"
                     "anthropic-organization-id: %08x-0000-4000-8000-000000000000\r\nserver: bench\r\n",
                     status, date, type, framing, who);
    if (spent < 0) {
        n += snprintf(head + n, sizeof head - (size_t)n, "x-should-retry: true\r\n");
    } else if (!strncmp(c->token, "sk-ant-oat", 10)) {
        n += snprintf(head + n, sizeof head - (size_t)n,
                      "anthropic-ratelimit-unified-status: %s\r\nanthropic-ratelimit-unified-reset: %s\r\n"
                      "anthropic-ratelimit-unified-5h-status: %s\r\nanthropic-ratelimit-unified-5h-utilization: %s\r\n"
                      "anthropic-ratelimit-unified-5h-reset: %s\r\nanthropic-ratelimit-unified-7d-status: allowed\r\n"
                      "anthropic-ratelimit-unified-7d-utilization: 0.25\r\nanthropic-ratelimit-unified-7d-reset: %s\r\n"
                      "anthropic-ratelimit-unified-representative-claim: five_hour\r\n"
                      "anthropic-ratelimit-unified-fallback-percentage: 0.5\r\n%s",
                      spent ? "rejected" : "allowed", reset_s, spent ? "rejected" : "allowed", spent ? "1.01" : "0.42",
                      reset_s, reset_s, spent ? "retry-after: 3600\r\nx-should-retry: true\r\n" : "");
    } else {
        n += snprintf(head + n, sizeof head - (size_t)n,
                      "anthropic-ratelimit-requests-limit: 4000\r\nanthropic-ratelimit-requests-remaining: %d\r\n"
                      "anthropic-ratelimit-requests-reset: %s\r\nanthropic-ratelimit-input-tokens-limit: 2000000\r\n"
                      "anthropic-ratelimit-input-tokens-remaining: 1900000\r\nanthropic-ratelimit-input-tokens-reset: %s\r\n"
                      "anthropic-ratelimit-output-tokens-limit: 400000\r\nanthropic-ratelimit-output-tokens-remaining: 390000\r\n"
                      "anthropic-ratelimit-output-tokens-reset: %s\r\n%s",
                      spent ? 0 : 3999, reset_at, reset_at, reset_at, spent ? "retry-after: 60\r\n" : "");
    }
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    put(c, head, (size_t)n);
}

static void put_answer(struct connection *c, const char *status, const char *body, int spent) {
    char framing[48];
    snprintf(framing, sizeof framing, "content-length: %zu\r\n", strlen(body));
    put_head(c, status, "application/json", framing, spent);
    put(c, body, strlen(body));
}

static int is_refused(struct connection *c) {
    uint32_t id = (uint32_t)directive(c, "id");
    if (!directive(c, "refuse")) return 0;
    int first = refused[id % IDS] != id;
    refused[id % IDS] = first ? id : 0;
    return first;
}

/* One step of the answer that is due now: the whole JSON, the head of a stream, its next event or its end. */
static void step(struct connection *c, uint64_t now) {
    static const char *const error = "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Rate limited\"}}";
    char event[1024];
    if (!c->started) {
        int spent = strstr(c->token, "spent") != NULL, refuse = is_refused(c);
        c->started = 1;
        if (c->counts) {
            snprintf(event, sizeof event, "{\"requests\":%ld,\"streams\":%ld,\"refusals\":%ld,\"connections\":%ld,\"cut\":%ld}",
                     requests, streams, refusals, accepted, cut);
            put_answer(c, "200 OK", event, 0);
        } else if (c->get) {
            put_answer(c, "200 OK", "{\"data\":[],\"has_more\":false}", 0);
        } else if (spent || refuse) {
            refusals++;
            put_answer(c, "429 Too Many Requests", error, spent ? 1 : -1);
        } else if (c->left == 0) {
            requests++;
            put_answer(c, "200 OK", answer, 0);
        } else {
            requests++, streams++;
            put_head(c, "200 OK", "text/event-stream; charset=utf-8", "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n", 0);
            put_chunk(c, START, strlen(START));
            flush(c);
            if (!c->open) return;
            put_chunk(c, BLOCK, strlen(BLOCK));
            c->at = now;
            return;
        }
        done(c);
    } else if (c->left > 0) {
        put_chunk(c, event, (size_t)snprintf(event, sizeof event, DELTA, (unsigned long long)now_ns()));
        c->left--;
        /* Streams that began together must not stay together: the first pause is shorter, by another part for each. */
        if (c->number++ == 0 && c->every_ns) c->at = now + c->every_ns * (uint64_t)(c->fd * 37 % 100) / 100;
        else c->at += c->every_ns;
    } else {
        put_chunk(c, event, (size_t)snprintf(event, sizeof event, END, c->number));
        put(c, "0\r\n\r\n", 5);
        done(c);
    }
}

static void flush(struct connection *c) {
    while (c->out_from < c->out_to) {
        ssize_t n = send(c->fd, c->out + c->out_from, c->out_to - c->out_from, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) { end(c); return; }
        c->out_from += (size_t)n;
    }
    int waits = c->out_from < c->out_to;
    if (!waits) c->out_from = c->out_to = 0;
    if (waits != c->writable_wanted) {
        struct epoll_event e = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.fd = c->fd};
        epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
        c->writable_wanted = waits;
    }
    if (!waits && !c->answering && c->close_after) end(c);
}

static void answer_due(struct connection *c, uint64_t now) {
    for (int turn = 0; c->open && c->answering && c->at <= now && !c->writable_wanted && turn < TURN; turn++) {
        step(c, now);
        if (c->open) flush(c);
    }
}

static void keep_text(void *whose, const char *bytes, size_t n) {
    struct connection *c = whose;
    if (n > KEPT - c->text_length) n = KEPT - c->text_length;
    memcpy(c->text + c->text_length, bytes, n);
    c->text_length += n;
}

static void take_token(struct connection *c) {
    size_t length = 0;
    const char *value = header(c->head, "x-api-key", &length);
    if (!value && (value = header(c->head, "authorization", &length)) && length > 7) value += 7, length -= 7;
    if (length >= sizeof c->token) length = sizeof c->token - 1;
    if (value) memcpy(c->token, value, length);
    c->token[value ? length : 0] = 0;
}

static void begin_answer(struct connection *c) {
    uint64_t now = now_ns();
    c->text[c->text_length] = 0;
    c->left = c->get ? 0 : (int)directive(c, "events");
    c->every_ns = (uint64_t)directive(c, "every_us") * 1000;
    c->at = now + (uint64_t)directive(c, "delay_us") * 1000;
    c->started = c->number = 0;
    c->answering = 1;
    c->reading_body = 0;
    active[actives++] = c->fd;
    answer_due(c, now);
    if (c->open && c->answering && c->at < next_at) next_at = c->at;
}

/* Read what is there: heads and bodies. Nobody may ask again before the answer is out. */
static void receive(struct connection *c) {
    static char in[1 << 18];
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) { end(c); return; }
    const char *from = in, *to = in + n;
    while (c->open && from < to) {
        if (c->answering) { end(c); return; }
        if (!c->reading_body) {
            size_t part = (size_t)(to - from), room = MAX_HEAD - 1 - c->got;
            if (part > room) part = room;
            memcpy(c->head + c->got, from, part);
            c->head[c->got + part] = 0;
            char *blank = strstr(c->head + (c->got > 3 ? c->got - 3 : 0), "\r\n\r\n");
            if (!blank) {
                if (part == room) { end(c); return; }
                c->got += part;
                return;
            }
            from += (size_t)(blank + 4 - c->head) - c->got;
            blank[4] = 0;
            c->got = 0;
            take_token(c);
            size_t length;
            const char *value = header(c->head, "connection", &length);
            c->close_after = value && !strncasecmp(value, "close", 5);
            c->counts = !strncmp(c->head, "GET /bench/counts ", 18);
            c->get = strncmp(c->head, "POST ", 5) != 0;
            c->text_length = 0;
            value = header(c->head, "expect", &length);
            if (value) put(c, "HTTP/1.1 100 Continue\r\n\r\n", 25), flush(c);
            body_begin(&c->body, has_chunks(c->head), content_length(c->head));
            c->reading_body = 1;
        }
        ssize_t used = body_feed(&c->body, from, (size_t)(to - from), keep_text, c);
        if (used < 0) { end(c); return; }
        from += used;
        if (c->body.done) begin_answer(c);
    }
}

static void welcome(int listener) {
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0) return;
        if (fd >= MAX_FD) { close(fd); continue; }
        fast_socket(fd);
        if (!connections[fd]) connections[fd] = malloc(sizeof(struct connection));
        struct connection *c = connections[fd];
        memset(c, 0, sizeof *c);
        c->fd = fd, c->open = 1;
        accepted++;
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
    }
}

int main(int argc, char **argv) {
    char filler[512];
    memset(filler, 'a', sizeof filler);
    filler[500] = 0;
    snprintf(answer, sizeof answer, JSON, filler);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    struct sockaddr_in address = loopback(argc > 1 ? atoi(argv[1]) : 0);
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    poller = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[256];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        uint64_t now = now_ns();
        int64_t wait = next_at == UINT64_MAX ? -1 : next_at > now ? (int64_t)(next_at - now) : 0;
        int n = epoll_wait_ns(poller, events, 256, wait);
        tell_time();
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) { welcome(listener); continue; }
            struct connection *c = connections[fd];
            if (c->open && events[i].events & EPOLLOUT) {
                flush(c);
                if (c->open && c->answering && c->at < next_at) next_at = c->at;
            }
            if (c->open && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
        }
        now = now_ns();
        if (now < next_at) continue;
        next_at = UINT64_MAX;
        for (int i = actives - 1; i >= 0; i--) {
            struct connection *c = connections[active[i]];
            if (c->at <= now) answer_due(c, now);
        }
        for (int i = 0; i < actives; i++) {
            struct connection *c = connections[active[i]];
            if (!c->writable_wanted && c->at < next_at) next_at = c->at;
        }
    }
}
