/* A file system without hard links, such as that of a USB stick. */
#include <errno.h>

int link(const char *from, const char *to) {
  (void)from;
  (void)to;
  errno = EPERM;
  return -1;
}
