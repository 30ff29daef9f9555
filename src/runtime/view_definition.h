/* view_definition.h: what a view is made of, as a number, and which build of the program made it.
 *
 * The number covers all that is declared: its tables and the events that it handles, each with the
 * whole description of its type (fields, kinds, bounds, nested types), but neither their order nor
 * documentation. What a handler's code does no number tells; the build-id of the object that has
 * the code tells whether it may be other code (docs/decisions/0018). */
#ifndef EXCORE_RUNTIME_VIEW_DEFINITION_H
#define EXCORE_RUNTIME_VIEW_DEFINITION_H

#include <excore/view.h>

#define VIEW_BUILD_SIZE 65 /* hex digits and a NUL */

/** Never 0. The same in every process and release. */
uint64_t view_definition_of(const ex_view_def *def);
/** The build-id of the object in which the view's handlers lie; "" when it has none. */
void view_build_of(const ex_view_def *def, char ret[VIEW_BUILD_SIZE]);

#endif
