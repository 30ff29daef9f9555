/* scenario_diff.h: what differs between two events, field by field, for people. */
#ifndef EXCORE_RUNTIME_SCENARIO_DIFF_H
#define EXCORE_RUNTIME_SCENARIO_DIFF_H

#include <excore/json.h>

/** Append a line for each difference: "\n  items[1].quantity: expected 2, got 3". What only one side
 *  has is "nothing" on the other. At most 20 lines, then how many more there are. Nothing is
 *  appended when both say the same. */
void scenario_diff(const ex_json *expected, const ex_json *got, ex_buf *out);

#endif
