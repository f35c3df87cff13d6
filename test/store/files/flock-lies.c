/* A file system whose locks are none: flock says 0 to everybody, or that it has no locks (FLOCK_ERRNO). */
#include <errno.h>
#include <stdlib.h>

int flock(int file, int operation) {
  const char *number = getenv("FLOCK_ERRNO");
  (void)file;
  (void)operation;
  if (number == NULL) return 0;
  errno = atoi(number);
  return -1;
}
