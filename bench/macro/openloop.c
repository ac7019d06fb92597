/* Requests at a constant rate over TLS 1.3, whatever the server does: openloop PORT CONNECTIONS RATE SECONDS PATH [fresh]
 *
 * Theory of operation. Request i is meant to be sent at start + i / RATE, and its latency counts from that moment, whenever it was
 * sent in fact: a server that stalls for a second makes RATE users wait, not one for each connection (G. Tene, "How NOT to measure
 * latency"; wrk2). A request whose time has come takes a free connection, or waits until one is free; its wait counts. Requests
 * without an answer DRAIN_SECONDS after the end are errors, and count in the percentiles with what they have waited by then.
 *
 * Kept connections all stand before "ready" is said. With `fresh` each request opens its connection, in a full handshake, and at
 * most CONNECTIONS are open at a time.
 *
 * `sent_p99` is how late requests left, 99th percentile: with kept connections that are free it is this program's own delay.
 * The time is a timerfd's: epoll_wait alone would round to milliseconds. Only 127.0.0.1; no certificate is verified (duties.py has).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_SECONDS 2
#define CONNECT_SECONDS 20
#define ATTEMPTS 100 /* that may fail before all connections stand */
#define HEAD_MAX 16384
#define BATCH 256

enum state { CLOSED, CONNECTING, HANDSHAKING, FREE, WAITING };

struct conn {
    SSL *ssl;
    int fd;
    enum state state;
    int64_t intended;       /* of the request it carries, or -1 */
    size_t have;            /* bytes of response head in buf */
    int64_t body_left;      /* -1 while the head is not complete */
    int closes;             /* the server said Connection: close */
    char buf[HEAD_MAX + 1];
};

static SSL_CTX *ctx;
static struct conn *conns, **free_list;
static int epoll, timer, port, connections, fresh, free_count;
static char request[2048];
static int request_length;
static int64_t start, total, next_index, answered, errors, opened, *latency, *sent_late, latencies, lates;
static double interval;

static void fail(const char *what)
{
    fprintf(stderr, "openloop: %s: %s\n", what, errno ? strerror(errno) : "failed");
    ERR_print_errors_fp(stderr);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int64_t due(int64_t index) { return start + (int64_t)(index * interval); }

static void watch(struct conn *c, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, c->fd, &e) && epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e))
        fail("epoll_ctl");
}

static void shut(struct conn *c)
{
    if (c->ssl) {
        SSL_set_quiet_shutdown(c->ssl, 1);
        SSL_free(c->ssl);
        struct linger reset = {1, 0}; /* or thousands of ports would wait in TIME_WAIT */
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(c->fd);
    }
    c->ssl = NULL;
    c->state = CLOSED;
}

static void request_over(struct conn *c, int failed)
{
    if (c->intended >= 0) {
        latency[latencies++] = now_ns() - c->intended;
        if (failed) errors++; else answered++;
    }
    c->intended = -1;
}

static void open_conn(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) fail("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->ssl = SSL_new(ctx);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) fail("SSL_new");
    SSL_set_tlsext_host_name(c->ssl, "localhost");
    SSL_set_connect_state(c->ssl);
    c->state = CONNECTING;
    c->have = 0;
    c->body_left = -1;
    c->closes = 0;
    opened++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
        close(c->fd);
        SSL_free(c->ssl);
        c->ssl = NULL;
        c->state = CLOSED;
        return;
    }
    watch(c, EPOLLOUT);
}

static void give_free(struct conn *c) { free_list[free_count++] = c; }

/* A connection that broke: its request is an error, and another connection takes its place. */
static void broken(struct conn *c)
{
    int was_free = c->state == FREE;
    shut(c);
    request_over(c, 1);
    if (fresh) {
        give_free(c);
        return;
    }
    if (was_free)
        for (int i = 0; i < free_count; i++)
            if (free_list[i] == c) { free_list[i] = free_list[--free_count]; break; }
    open_conn(c);
}

static void send_request(struct conn *c)
{
    c->have = 0;
    c->body_left = -1;
    c->state = WAITING;
    if (SSL_write(c->ssl, request, request_length) <= 0) { /* so short that it always fits */
        ERR_clear_error();
        broken(c);
    }
}

/* Begin all requests whose time has come and for which there is a connection; arm the timer for the next. */
static void pace(void)
{
    int64_t now = now_ns();
    while (next_index < total && due(next_index) <= now && free_count) {
        struct conn *c = free_list[--free_count];
        c->intended = due(next_index++);
        sent_late[lates++] = now - c->intended;
        if (fresh) {
            open_conn(c);
            if (c->state == CLOSED) { request_over(c, 1); give_free(c); }
        } else {
            send_request(c);
        }
        now = now_ns();
    }
    int64_t at = next_index < total && free_count ? due(next_index) : now + 50000000;
    if (at <= now) at = now + 1;
    struct itimerspec when = {.it_value = {at / 1000000000, at % 1000000000}};
    if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL)) fail("timerfd_settime");
}

/* The response's bytes so far stand in buf: 1 when it is whole, 0 when there is more to come, -1 when it is wrong. */
static int head_complete(struct conn *c)
{
    c->buf[c->have] = 0;
    char *end = memmem(c->buf, c->have, "\r\n\r\n", 4);
    if (!end) return c->have >= HEAD_MAX ? -1 : 0;
    if (strncmp(c->buf, "HTTP/1.1 200", 12)) return -1;
    *end = 0;
    char *length = strcasestr(c->buf, "\r\ncontent-length:");
    if (!length) return -1;
    c->closes = strcasestr(c->buf, "\r\nconnection: close") != NULL;
    c->body_left = atoll(length + 17) - (int64_t)(c->have - (end + 4 - c->buf));
    return c->body_left < 0 ? -1 : c->body_left == 0;
}

static int receive(struct conn *c)
{
    static char sink[65536];
    for (;;) {
        int in_head = c->body_left < 0;
        char *into = in_head ? c->buf + c->have : sink;
        int n = SSL_read(c->ssl, into, in_head ? (int)(HEAD_MAX - c->have) : (int)sizeof sink);
        if (n <= 0) {
            int why = SSL_get_error(c->ssl, n);
            ERR_clear_error();
            return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
        }
        if (c->state != WAITING) return -1; /* nobody asked */
        int done;
        if (in_head) {
            c->have += n;
            done = head_complete(c);
        } else {
            c->body_left -= n;
            done = c->body_left < 0 ? -1 : c->body_left == 0;
        }
        if (done) return done;
    }
}

static void step(struct conn *c)
{
    if (c->state == CLOSED) return;
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) { broken(c); return; }
        c->state = HANDSHAKING;
    }
    if (c->state == HANDSHAKING) {
        int n = SSL_do_handshake(c->ssl);
        if (n != 1) {
            int why = SSL_get_error(c->ssl, n);
            ERR_clear_error();
            if (why == SSL_ERROR_WANT_READ) watch(c, EPOLLIN);
            else if (why == SSL_ERROR_WANT_WRITE) watch(c, EPOLLOUT);
            else broken(c);
            return;
        }
        watch(c, EPOLLIN);
        if (fresh) {
            send_request(c);
        } else {
            c->state = FREE;
            give_free(c);
        }
        return;
    }
    int done = receive(c);
    if (done < 0) { broken(c); return; }
    if (!done) return;
    request_over(c, 0);
    if (fresh) {
        shut(c);
        give_free(c);
    } else if (c->closes) {
        shut(c);
        open_conn(c);
    } else {
        c->state = FREE;
        give_free(c);
    }
}

static void turn(int timeout_ms)
{
    struct epoll_event events[BATCH];
    int n = epoll_wait(epoll, events, BATCH, timeout_ms);
    if (n < 0 && errno != EINTR) fail("epoll_wait");
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr) {
            step(events[i].data.ptr);
        } else {
            uint64_t expired;
            if (read(timer, &expired, sizeof expired) < 0 && errno != EAGAIN) fail("timerfd");
        }
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double microseconds(int64_t *sorted, int64_t count, double share)
{
    if (!count) return 0;
    int64_t i = (int64_t)(share * count);
    return sorted[i < count ? i : count - 1] / 1e3;
}

int main(int argc, char **argv)
{
    if (argc < 6 || argc > 7 || (argc == 7 && strcmp(argv[6], "fresh"))) {
        fprintf(stderr, "usage: openloop PORT CONNECTIONS RATE SECONDS PATH [fresh]\n");
        return 2;
    }
    port = atoi(argv[1]);
    connections = atoi(argv[2]);
    double rate = atof(argv[3]), seconds = atof(argv[4]);
    fresh = argc == 7;
    if (port <= 0 || connections <= 0 || rate <= 0 || seconds <= 0) {
        fprintf(stderr, "openloop: wanted numbers above 0\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    interval = 1e9 / rate;
    total = (int64_t)(rate * seconds);
    if (total < 1) total = 1;
    request_length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", argv[5],
                              fresh ? "Connection: close\r\n" : "");
    if (request_length >= (int)sizeof request) fail("path too long");
    ctx = SSL_CTX_new(TLS_client_method());
    epoll = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    conns = calloc(connections, sizeof *conns);
    free_list = calloc(connections, sizeof *free_list);
    latency = malloc(total * sizeof *latency);
    sent_late = malloc(total * sizeof *sent_late);
    if (!ctx || epoll < 0 || timer < 0 || !conns || !free_list || !latency || !sent_late) fail("start");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &e)) fail("epoll_ctl");

    int64_t limit = now_ns() + CONNECT_SECONDS * 1000000000LL;
    for (int i = 0; i < connections; i++) {
        conns[i].intended = -1;
        if (fresh) {
            give_free(&conns[i]);
            continue;
        }
        open_conn(&conns[i]);
        while (free_count <= i) { /* one after the other: a burst would be the server's accept queue's affair */
            if (now_ns() > limit || opened > i + ATTEMPTS) {
                fprintf(stderr, "openloop: %d of %d connections stand\n", free_count, connections);
                return 1;
            }
            if (conns[i].state == CLOSED) open_conn(&conns[i]);
            turn(100);
        }
    }
    int64_t before = opened;
    printf("ready\n");
    fflush(stdout);
    start = now_ns() + 1000000;
    int64_t end = due(total);
    while (answered + errors < total && now_ns() < end + DRAIN_SECONDS * 1000000000LL) {
        pace();
        turn(-1);
    }
    int64_t stopped = now_ns();
    for (int i = 0; i < connections; i++)
        request_over(&conns[i], 1);
    for (; next_index < total; next_index++, errors++) /* never sent: nothing was free */
        latency[latencies++] = stopped - due(next_index);
    qsort(latency, latencies, sizeof *latency, by_size);
    qsort(sent_late, lates, sizeof *sent_late, by_size);
    printf("openloop requests=%lld errors=%lld reopened=%lld seconds=%.6f p50=%.1f p90=%.1f p99=%.1f p999=%.1f max=%.1f sent_p99=%.1f\n",
           (long long)answered, (long long)errors, (long long)(fresh ? 0 : opened - before), (stopped - start) / 1e9,
           microseconds(latency, latencies, 0.5), microseconds(latency, latencies, 0.9), microseconds(latency, latencies, 0.99),
           microseconds(latency, latencies, 0.999), microseconds(latency, latencies, 1.0), microseconds(sent_late, lates, 0.99));
    return 0;
}
