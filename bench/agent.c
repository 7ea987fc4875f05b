/* What stands behind every target and costs nothing: an agent and an app that answer from ready-made bytes.

   POST                          1 KiB of JSON
   POST  … "stream": true …      events; "plan": "MICROSECONDS lf|crlf MILLISECONDS" says how far apart (0 as fast
                                 as they are taken, -1 three and the end), framed by which, and for how long
   GET                           1 KiB
   GET   /down                   64 MiB
   POST  /up                     takes whatever comes
   GET   with Upgrade            a WebSocket that sends back what it gets

   The same as agent.py, for machines with a C compiler: `agent PORT`, on loopback, prints `ready`. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MOST 16384          /* connections */
#define ROOM 65536          /* bytes of a request that is looked at */
#define BLOCK (1 << 20)
#define DOWN 64             /* blocks of a download */
#define SSE "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
#define EVENT "data: {\"type\": \"response.output_text.delta\", \"item_id\": \"m1\", \"output_index\": 0, \"delta\": \"some text \"}"
#define END "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"

enum mode { ASKED, UPLOAD, CHUNKED, FLOOD, PACED, ECHO };

struct conn {
  int fd;
  enum mode mode;
  size_t len;               /* bytes in `in` */
  char *in;
  long left;                /* bytes of an upload that are still to come; blocks of a flood, -1 without end */
  const char *out;          /* a flood's block, and how far it has been written */
  size_t size, at;
  const char *event;        /* a paced stream's */
  size_t event_size;
  long long pause, due, until; /* nanoseconds */
  char tail[5];
};

static struct conn *paced[MOST];
static int pacing, poller, timer;
static char block[BLOCK], whole[2048], page[2048], lf[256], crlf[256], lfs[BLOCK], crlfs[BLOCK], scratch[1 << 18];
static size_t whole_size, page_size, lf_size, crlf_size, lfs_size, crlfs_size;

static long long now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void drop(struct conn *c) {
  for (int i = 0; i < pacing; i++)
    if (paced[i] == c) paced[i] = paced[--pacing];
  close(c->fd);
  free(c->in);
  free(c);
}

static void watch(struct conn *c, uint32_t what) {
  struct epoll_event e = {.events = what, .data.ptr = c};
  epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &e);
}

static int tell(struct conn *c, const char *data, size_t size) { return write(c->fd, data, size) == (ssize_t)size; }

/* Writes a flood's blocks as far as they are taken; 0 where the other side is gone. */
static int pour(struct conn *c) {
  while (c->left) {
    ssize_t n = write(c->fd, c->out + c->at, c->size - c->at);
    if (n < 0) {
      if (errno != EAGAIN) return 0;
      watch(c, EPOLLIN | EPOLLOUT);
      return 1;
    }
    if ((c->at += n) < c->size) continue;
    c->at = 0;
    if (c->left > 0) c->left--;
    else if (now() >= c->until) {
      if (!tell(c, END, sizeof END - 1)) return 0;
      c->left = 0;
    }
  }
  c->mode = ASKED;
  watch(c, EPOLLIN);
  return 1;
}

static int flood(struct conn *c, const char *out, size_t size, long blocks) {
  c->mode = FLOOD, c->out = out, c->size = size, c->at = 0, c->left = blocks;
  return pour(c);
}

static void rearm(void) {
  long long first = 0;
  for (int i = 0; i < pacing; i++)
    if (!first || paced[i]->due < first) first = paced[i]->due;
  struct itimerspec when = {.it_value = {first / 1000000000LL, first % 1000000000LL}};
  timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void tick(void) {
  uint64_t passed;
  if (read(timer, &passed, sizeof passed) < 0) return;
  long long at = now();
  for (int i = 0; i < pacing; i++)
    while (paced[i]->due <= at) {
      struct conn *c = paced[i];
      int over = c->due >= c->until;
      tell(c, over ? END : c->event, over ? sizeof END - 1 : c->event_size); /* who is gone is told by a read */
      c->due += c->pause;
      if (c->due > c->until) c->due = c->until;
      if (!over) continue;
      c->mode = ASKED, paced[i--] = paced[--pacing];
      break;
    }
  rearm();
}

static int stream(struct conn *c, const char *plan) {
  long pause = -1, life = 0;
  char framing[8] = "lf";
  if (plan) sscanf(plan, "%ld %7s %ld", &pause, framing, &life);
  int other = !strcmp(framing, "crlf");
  const char *event = other ? crlf : lf;
  size_t size = other ? crlf_size : lf_size;
  if (pause < 0) {
    char all[2048];
    char *to = stpcpy(all, SSE);
    for (int i = 0; i < 3; i++) to = mempcpy(to, event, size);
    to = stpcpy(to, END);
    return tell(c, all, to - all);
  }
  if (!tell(c, SSE, sizeof SSE - 1)) return 0;
  c->until = now() + life * 1000000LL;
  if (pause == 0) return flood(c, other ? crlfs : lfs, other ? crlfs_size : lfs_size, -1);
  if (pacing == MOST || !tell(c, event, size)) return 0;
  c->mode = PACED, c->event = event, c->event_size = size, c->pause = pause * 1000LL;
  c->due = now() + (long long)(drand48() * c->pause);
  if (c->due > c->until) c->due = c->until;
  paced[pacing++] = c;
  rearm();
  return 1;
}

/* --- WebSocket ------------------------------------------------------------------------------------------- */

static uint32_t turned(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void sha1(const unsigned char *text, size_t size, unsigned char out[20]) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0}, w[80];
  unsigned char data[128] = {0};
  memcpy(data, text, size);
  data[size] = 0x80;
  size_t padded = size < 56 ? 64 : 128;
  for (int i = 0; i < 8; i++) data[padded - 1 - i] = (uint64_t)size * 8 >> 8 * i;
  for (size_t at = 0; at < padded; at += 64) {
    for (int i = 0; i < 16; i++)
      w[i] = data[at + 4 * i] << 24 | data[at + 4 * i + 1] << 16 | data[at + 4 * i + 2] << 8 | data[at + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = turned(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 ? b ^ c ^ d : i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
      uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
      uint32_t t = turned(a, 5) + f + e + k + w[i];
      e = d, d = c, c = turned(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) out[i] = h[i / 4] >> (24 - 8 * (i % 4));
}

static int upgrade(struct conn *c, const char *head) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *key = strcasestr(head, "\r\nsec-websocket-key:");
  if (!key) return 0;
  key += 20, key += strspn(key, " ");
  char text[100], accept[29] = {0}, answer[300];
  snprintf(text, sizeof text, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  unsigned char sum[21] = {0};
  sha1((unsigned char *)text, strlen(text), sum);
  for (int i = 0; i < 7; i++) {
    uint32_t three = sum[3 * i] << 16 | sum[3 * i + 1] << 8 | sum[3 * i + 2];
    for (int j = 0; j < 4; j++) accept[4 * i + j] = letters[three >> (18 - 6 * j) & 63];
  }
  accept[27] = '=';
  int size = snprintf(answer, sizeof answer,
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: %s\r\n\r\n", accept);
  c->mode = ECHO;
  return tell(c, answer, size);
}

static int echo(struct conn *c) {
  size_t at = 0;
  while (c->len - at >= 2) {
    unsigned char *frame = (unsigned char *)c->in + at, *mask = frame + 2, *data = mask;
    size_t size = frame[1] & 127, head = 2;
    if (size == 126) size = frame[2] << 8 | frame[3], mask = data = frame + 4, head = 4;
    if (frame[1] & 128) data = mask + 4;
    if (at + (data - frame) + size > c->len) break;
    unsigned char out[ROOM];
    memcpy(out, frame, head);
    out[1] &= 127;
    for (size_t i = 0; i < size; i++) out[head + i] = data == mask ? data[i] : data[i] ^ mask[i & 3];
    if (!tell(c, (char *)out, head + size) || (frame[0] & 15) == 8) return 0;
    at += (data - frame) + size;
  }
  memmove(c->in, c->in + at, c->len -= at);
  return 1;
}

/* --- requests -------------------------------------------------------------------------------------------- */

static int feed(struct conn *c, char *data, size_t size);

static int taken(struct conn *c) { return c->mode = ASKED, tell(c, page, page_size); }

/* Answers the request that is at the front of `in`, if it is all there; 0 where the connection is to be closed. */
static int asked(struct conn *c) {
  while (c->mode == ASKED && c->len) {
    c->in[c->len] = 0;
    char *body = memmem(c->in, c->len, "\r\n\r\n", 4);
    if (!body) return c->len < ROOM;
    *(body += 2) = 0, body += 2;
    char *length = strcasestr(c->in, "\r\ncontent-length:");
    int chunked = strcasestr(c->in, "\r\ntransfer-encoding:") != NULL;
    size_t size = length ? strtoul(length + 17, NULL, 10) : 0, here = c->len - (body - c->in), used = here;
    int well;
    if (!strncmp(c->in, "POST /up", 8)) {
      c->mode = chunked ? CHUNKED : UPLOAD, c->left = size;
      well = feed(c, body, here);
    } else if (chunked ? here < 5 || memcmp(body + here - 5, "0\r\n\r\n", 5) : here < size) {
      body[-2] = '\r';
      return c->len < ROOM;
    } else {
      if (!chunked) used = size;
      if (strcasestr(c->in, "\r\nupgrade: websocket")) well = upgrade(c, c->in);
      else if (!strncmp(c->in, "GET /down", 9)) {
        char head[100];
        int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n", DOWN * BLOCK);
        well = tell(c, head, n) && flood(c, block, BLOCK, DOWN);
      } else if (strncmp(c->in, "POST ", 5)) well = tell(c, page, page_size);
      else {
        char *wants = memmem(body, used, "\"stream\":", 9), *plan = memmem(body, used, "\"plan\":", 7);
        if (plan) plan += 7, plan += strspn(plan, " "), plan++;
        well = wants && wants[9 + strspn(wants + 9, " ")] == 't' ? stream(c, plan) : tell(c, whole, whole_size);
      }
    }
    if (!well) return 0;
    memmove(c->in, body + used, c->len -= (body - c->in) + used);
  }
  return 1;
}

static int feed(struct conn *c, char *data, size_t size) {
  if (c->mode == UPLOAD) return (c->left -= size) <= 0 ? taken(c) : 1;
  if (c->mode == CHUNKED) {
    if (size >= 5) memcpy(c->tail, data + size - 5, 5);
    else memmove(c->tail, c->tail + size, 5 - size), memcpy(c->tail + 5 - size, data, size);
    return memcmp(c->tail, "0\r\n\r\n", 5) ? 1 : taken(c);
  }
  size_t part = size < ROOM - c->len ? size : ROOM - c->len; /* an upload's head is in what fits */
  if (!part) return 0;
  memcpy(c->in + c->len, data, part);
  c->len += part;
  return (c->mode == ECHO ? echo(c) : asked(c)) && (part == size || feed(c, data + part, size - part));
}

static void welcome(int listening) {
  int fd, on = 1;
  while ((fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = calloc(1, sizeof *c);
    c->fd = fd, c->in = malloc(ROOM + 1);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e);
  }
}

static void make(void) {
  char text[1200];
  memset(block, 'x', sizeof block);
  snprintf(text, sizeof text, "{\"output\": [{\"type\": \"message\", \"id\": \"m1\", \"role\": \"assistant\", \"content\": "
           "[{\"type\": \"output_text\", \"text\": \"%.900s\"}]}]}", block);
  whole_size = snprintf(whole, sizeof whole, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                        "content-length: %zu\r\n\r\n%s", strlen(text), text);
  page_size = snprintf(page, sizeof page, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 1024\r\n\r\n%.1024s", block);
  lf_size = snprintf(lf, sizeof lf, "%zx\r\n" EVENT "\n\n\r\n", sizeof EVENT - 1 + 2);
  crlf_size = snprintf(crlf, sizeof crlf, "%zx\r\n" EVENT "\r\n\r\n\r\n", sizeof EVENT - 1 + 4);
  for (; lfs_size + lf_size < BLOCK / 8; lfs_size += lf_size) memcpy(lfs + lfs_size, lf, lf_size);
  for (; crlfs_size + crlf_size < BLOCK / 8; crlfs_size += crlf_size) memcpy(crlfs + crlfs_size, crlf, crlf_size);
}

int main(int count, char **given) {
  signal(SIGPIPE, SIG_IGN);
  make();
  poller = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  int listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(count > 1 ? atoi(given[1]) : 0),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (bind(listening, (struct sockaddr *)&where, sizeof where) || listen(listening, 4096)) return perror("agent"), 1;
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = &listening}, events[256];
  epoll_ctl(poller, EPOLL_CTL_ADD, listening, &e);
  e.data.ptr = &timer;
  epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
  puts("ready"), fflush(stdout);
  for (;;) {
    int n = epoll_wait(poller, events, 256, -1);
    for (int i = 0; i < n; i++) {
      struct conn *c = events[i].data.ptr;
      if ((void *)c == &listening) welcome(listening);
      else if ((void *)c == &timer) tick();
      else {
        int well = 1;
        if (events[i].events & EPOLLOUT) well = pour(c);
        if (well && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
          ssize_t got = read(c->fd, scratch, sizeof scratch);
          well = got > 0 ? feed(c, scratch, got) : got < 0 && errno == EAGAIN;
        }
        if (!well) drop(c);
      }
    }
  }
}
