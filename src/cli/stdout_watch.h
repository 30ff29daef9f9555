/* stdout_watch.h: why writing to standard output failed.
 *
 * stdio tells that it failed, but when it is asked the reason has long been overwritten: a long
 * output that a reader leaves (`| head`) looked like a broken disk, and a full disk like any error. */
#ifndef EXCORE_CLI_STDOUT_WATCH_H
#define EXCORE_CLI_STDOUT_WATCH_H

/** Before anything is printed: stdout notes its first failure. Without memory it stays as it is. */
void stdout_watch(void);
/** errno of the first write that failed; 0: none did. */
int stdout_reason(void);

#endif
