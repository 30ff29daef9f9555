/* wanderer.c: the orders application, which takes the process elsewhere while it is loaded. */
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void wander(void)
{
    if (chdir("elsewhere"))
        abort();
}
