/* process.c: see process.h. */
#include "sql/process.h"

#include <sqlite3.h>

void sql_tune_process(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* refused once SQLite is in use */
}
