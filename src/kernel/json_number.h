/* json_number.h: decimal text to double and back, exact, whatever the locale. */
#ifndef EXCORE_KERNEL_JSON_NUMBER_H
#define EXCORE_KERNEL_JSON_NUMBER_H

#include <excore/base.h>

#define JSON_NUMBER_SIZE 32 /* the longest text of a double is 25 bytes */

/** The double nearest to `text`, which must match JSON's number grammar. False when it overflows.
 */
bool json_number_parse(ex_slice text, double *ret);

/** The shortest text that reads back as `number` (finite), laid out as ECMAScript does: 1, 0.1,
 *  100000, 1e+21, 1.5e-7; minus zero is -0.0. Returns its length; no NUL. */
size_t json_number_write(double number, char out[JSON_NUMBER_SIZE]);

#endif
