/* linked_app.c: the orders application linked into a program of its own, instead of loaded. */
#include <excore/app.h>

const ex_app *excore_app(void); /* what EX_APP defines in examples/orders/app.c */

int main(int argc, char **argv)
{
    return ex_main(argc, argv, excore_app());
}
