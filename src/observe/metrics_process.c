/* metrics_process.c: what Prometheus expects of every process, read from /proc, and build_info. */
#include "observe/metrics_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* The first bytes of a file, NUL-terminated; false when it cannot be read. */
static bool read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    if (n <= 0)
        return false;
    out[n] = '\0';
    return true;
}

static double read_cpu_seconds(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u))
        return NAN;
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* A field of /proc/self/statm, in bytes. */
static double read_statm(int field)
{
    char text[128];
    unsigned long pages[2];
    if (!read_text("/proc/self/statm", text, sizeof(text)) ||
        sscanf(text, "%lu %lu", &pages[0], &pages[1]) != 2)
        return NAN;
    return (double)pages[field] * (double)sysconf(_SC_PAGESIZE);
}

static double read_virtual_bytes(void)
{
    return read_statm(0);
}

static double read_resident_bytes(void)
{
    return read_statm(1);
}

static double read_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return NAN;
    double n = 0;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += e->d_name[0] != '.';
    closedir(dir);
    return n - 1; /* without the directory itself */
}

static double read_max_fds(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return NAN;
    return limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
}

/* Seconds since 1970 at which the machine started. */
static double boot_time(void)
{
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return NAN;
    char line[256];
    double seconds = NAN;
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "btime ", 6) == 0) {
            seconds = strtod(line + 6, NULL);
            break;
        }
    }
    (void)fclose(f); /* only read */
    return seconds;
}

static double read_start_time(void)
{
    char text[1024];
    if (!read_text("/proc/self/stat", text, sizeof(text)))
        return NAN;
    const char *p = strrchr(text, ')'); /* the program's name may hold blanks */
    /* the state is field 3 and follows the name; starttime is field 22 */
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? boot_time() + strtod(p + 1, NULL) / (double)sysconf(_SC_CLK_TCK) : NAN;
}

/* clang-format off */
static const struct {
    const char *name;
    metric_kind kind;
    double (*read)(void);
    const char *help;
} process_metrics[] = {
    {"process_cpu_seconds_total",     METRIC_CALLED_COUNTER, read_cpu_seconds,    "User and system CPU time spent, in seconds."},
    {"process_resident_memory_bytes", METRIC_CALLED_GAUGE,   read_resident_bytes, "Resident memory size in bytes."},
    {"process_virtual_memory_bytes",  METRIC_CALLED_GAUGE,   read_virtual_bytes,  "Virtual memory size in bytes."},
    {"process_open_fds",              METRIC_CALLED_GAUGE,   read_open_fds,       "Number of open file descriptors."},
    {"process_max_fds",               METRIC_CALLED_GAUGE,   read_max_fds,        "Largest number of open file descriptors."},
    {"process_start_time_seconds",    METRIC_CALLED_GAUGE,   read_start_time,     "Start of the process in seconds since 1970 UTC."},
};
/* clang-format on */

static ex_status add_build_info(ex_metrics *m, const char *version, const char *commit,
                                ex_error *err)
{
    ex_gauge *family = NULL;
    ex_metric_desc d = {"build_info", "The version that runs; always 1.", {"version", "commit"}};
    ex_status status = ex_metrics_gauge(m, &d, &family, err);
    if (status == EX_OK) {
        ex_slice values[] = {ex_str(version), ex_str(commit)};
        ex_gauge_set(ex_gauge_with(family, values), 1);
    }
    return status;
}

ex_status ex_metrics_add_process(ex_metrics *m, const char *version, const char *commit,
                                 ex_error *err)
{
    ex_status status = add_build_info(m, version, commit, err);
    for (size_t i = 0; !status && i < sizeof(process_metrics) / sizeof(process_metrics[0]); i++)
        status = metric_add_called(m, process_metrics[i].kind, process_metrics[i].name,
                                   process_metrics[i].help, process_metrics[i].read, err);
    return status;
}
