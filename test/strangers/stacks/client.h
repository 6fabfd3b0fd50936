/* What the small TLS clients of these tests have in common: one line of stdin is one handshake. */
#include <arpa/inet.h>
#include <signal.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PEM_BEGIN "-----BEGIN CERTIFICATE-----"

/* Shakes hands on a connected socket; NULL: the server's certificate was taken, else why not. */
static const char *shake(int fd, const char *host, char *roots);
static const char *version(void);

static char *text_of(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    if (!file || !text) exit(2);
    text[fread(text, 1, (1 << 20) - 1, file)] = 0;
    fclose(file);
    return text;
}

static int connected(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval patience = { .tv_sec = 20 };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *) &to, sizeof to) != 0) exit(3);
    return fd;
}

/* "PORT HOST FILE" in, "ok" or "no WHY" out; the first line says the version. */
int main(void)
{
    char line[2048], host[512], path[1024];
    int port;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%s\n", version());
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%d %511s %1023s", &port, host, path) != 3) return 1;
        char *roots = text_of(path);
        int fd = connected(port);
        const char *why = shake(fd, host, roots);
        if (why) printf("no %s\n", why); else printf("ok\n");
        close(fd);
        free(roots);
    }
    return 0;
}
