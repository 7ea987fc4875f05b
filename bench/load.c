/* The load: connections that count and time, so that the client is never what is measured.

   load ask|events|echo PORT CONNECTIONS WARM SECONDS FILLER   (the request comes on stdin)

   ask      asks again as soon as it is answered; FILLER bytes follow the request as its body
   events   asks once on each connection and counts the events that come
   echo     asks for a WebSocket, and sends a message of 64 bytes as soon as the last one came back

   Says `go` after WARM seconds, and after SECONDS more one line of JSON: count, seconds, p50, p99, first (until
   the first byte of a body), in seconds. The same as load.py, for machines with a C compiler. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ROOM 16384
#define MOST 4000000        /* times that are kept */
#define MESSAGE 64

struct conn {
  int fd, opened;           /* the head of the answer has come */
  char in[ROOM];
  size_t len;
  long need;                /* bytes of the body that are still to come; -1: until the last chunk */
  long filler;              /* bytes of the request's body that are still to be sent */
  double began;
  char tail[5];
};

static int poller, window;
static char request[ROOM], frame[6 + MESSAGE], filling[1 << 18], scratch[(1 << 18) + 8];
static size_t request_size;
static long filler;
static enum { ASK, EVENTS, ECHO } mode;
static long count;
static float *times, *firsts;
static long timed, firsted;
static struct sockaddr_in where;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void failed(const char *why, const char *text, size_t size) {
  fprintf(stderr, "load: %s: %.*s\n", why, (int)(size < 400 ? size : 400), text);
  exit(1);
}

static void say(struct conn *c, const char *data, size_t size) {
  if (write(c->fd, data, size) != (ssize_t)size) failed("not taken", strerror(errno), 100);
}

static void watch(struct conn *c, int how, uint32_t what) {
  struct epoll_event e = {.events = what, .data.ptr = c};
  epoll_ctl(poller, how, c->fd, &e);
}

static void fill(struct conn *c) {
  while (c->filler) {
    ssize_t n = write(c->fd, filling, c->filler < (long)sizeof filling ? (size_t)c->filler : sizeof filling);
    if (n < 0 && errno == EAGAIN) return watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
    if (n < 0) failed("not taken", strerror(errno), 100);
    c->filler -= n;
  }
  if (filler) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void ask(struct conn *c) {
  c->opened = 0, c->len = 0, c->filler = filler, c->began = now();
  memset(c->tail, 0, 5);
  say(c, request, request_size);
  if (filler) fill(c);
}

static void answered(struct conn *c) {
  double at = now();
  if (window && timed < MOST) times[timed++] = at - c->began;
  count += window;
  if (mode == ECHO) c->began = at, say(c, frame, sizeof frame);
  else ask(c);
}

/* Bytes of a body, the way the mode wants them. `data` has room for five bytes before it. */
static void body(struct conn *c, char *data, size_t size) {
  if (mode == EVENTS) {
    char *at = memcpy(data - 5, c->tail, 5), *end = data + size;
    for (; (at = memmem(at, end - at, "data: ", 6)); at += 6) count += window;
    memcpy(c->tail, end - 5, 5);
    return;
  }
  if (mode == ECHO) {
    for (c->need -= size; c->need <= 0; c->need += 2 + MESSAGE) answered(c);
    return;
  }
  if (window && size && c->opened == 1 && firsted < MOST) firsts[firsted++] = now() - c->began;
  if (size) c->opened = 2;
  if (c->need >= 0) {
    if ((c->need -= size) <= 0) answered(c);
    return;
  }
  if (size >= 5) memcpy(c->tail, data + size - 5, 5);
  else memmove(c->tail, c->tail + size, 5 - size), memcpy(c->tail + 5 - size, data, size);
  if (!memcmp(c->tail, "0\r\n\r\n", 5)) answered(c);
}

static void received(struct conn *c, char *data, size_t size) {
  if (c->opened) return body(c, data, size);
  if (c->len + size >= ROOM) {
    size_t part = ROOM - 1 - c->len; /* the head is in what fits; the rest is body */
    memcpy(c->in + c->len, data, part);
    if (!memmem(c->in, ROOM - 1, "\r\n\r\n", 4)) failed("no head", c->in, 400);
    received(c, data, part);
    return body(c, data + part, size - part);
  }
  memcpy(c->in + c->len, data, size);
  c->in[c->len += size] = 0;
  char *end = strstr(c->in, "\r\n\r\n");
  if (!end) return;
  if (strncmp(c->in, mode == ECHO ? "HTTP/1.1 101" : "HTTP/1.1 200", 12)) failed("answered", c->in, c->len);
  size_t head = end + 4 - c->in, rest = c->len - head;
  end[2] = 0;
  char *length = strcasestr(c->in, "\r\ncontent-length:");
  c->opened = 1, c->need = length ? strtol(length + 17, NULL, 10) : -1;
  if (mode == ECHO) {
    c->need = 2 + MESSAGE, c->began = now();
    say(c, frame, sizeof frame);
  }
  if (rest || !c->need) body(c, data + size - rest, rest);
}

static void connected(struct conn *c) {
  int on = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(c->fd, (struct sockaddr *)&where, sizeof where)) failed("not connected", strerror(errno), 100);
  ioctl(c->fd, FIONBIO, &on);
  watch(c, EPOLL_CTL_ADD, EPOLLIN);
  ask(c);
}

static int order(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double part(float *of, long n, double q) { return n ? of[(long)((n - 1) * q)] : 0; }

int main(int given, char **args) {
  if (given < 7) return fputs("load ask|events|echo PORT CONNECTIONS WARM SECONDS FILLER\n", stderr), 2;
  signal(SIGPIPE, SIG_IGN);
  mode = args[1][0] == 'a' ? ASK : args[1][1] == 'v' ? EVENTS : ECHO;
  where = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(args[2])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int connections = atoi(args[3]);
  double warm = atof(args[4]), seconds = atof(args[5]);
  filler = atol(args[6]);
  request_size = fread(request, 1, ROOM, stdin);
  times = malloc(MOST * sizeof *times), firsts = malloc(MOST * sizeof *firsts);
  memset(filling, 'x', sizeof filling), memset(frame, 'x', sizeof frame);
  frame[0] = (char)0x82, frame[1] = (char)(0x80 | MESSAGE), memset(frame + 2, 0, 4);
  poller = epoll_create1(0);
  struct conn *all = calloc(connections, sizeof *all);
  for (int i = 0; i < connections; i++) connected(all + i);
  double from = now() + warm, until = 0;
  struct epoll_event events[256];
  for (;;) {
    double at = now();
    if (!window && at >= from) puts("go"), fflush(stdout), window = 1, from = at = now(), until = at + seconds;
    if (window && at >= until) break;
    int n = epoll_wait(poller, events, 256, (int)(((window ? until : from) - at) * 1000) + 1);
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if (events[i].events & EPOLLOUT) fill(c);
      if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))) continue;
      ssize_t got = read(c->fd, scratch + 8, 1 << 18);
      if (got <= 0 && !(got < 0 && errno == EAGAIN)) failed("closed", got ? strerror(errno) : "by the target", 100);
      if (got > 0) received(c, scratch + 8, got);
    }
  }
  double took = now() - from;
  qsort(times, timed, sizeof *times, order), qsort(firsts, firsted, sizeof *firsts, order);
  printf("{\"count\": %ld, \"seconds\": %.6f, \"p50\": %.7f, \"p99\": %.7f, \"first\": %.7f}\n", count, took,
         part(times, timed, .5), part(times, timed, .99), part(firsts, firsted, .5));
  return 0;
}
