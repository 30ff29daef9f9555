/* process.h: settings of SQLite that hold for a whole process, so that only a program may choose
 * them. */
#ifndef EXCORE_SQL_PROCESS_H
#define EXCORE_SQL_PROCESS_H

/** Stop SQLite's count of memory: it takes one lock for each allocation of any connection.
 *  Call it before SQLite is used; later it does nothing. */
void sql_tune_process(void);

#endif
