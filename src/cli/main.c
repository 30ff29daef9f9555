/* main.c: the program excore: ex_main without an application linked in. */
#include <excore/app.h>

int main(int argc, char **argv)
{
    return ex_main(argc, argv, NULL);
}
