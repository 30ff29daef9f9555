/* event_depth.h: how deep a document with events in it may nest.
 *
 * Data and metadata of an event have 64 levels at most, which the store sees to, whatever way they
 * come. Bodies and answers put some around them: read with the same limit, what one way takes
 * another one would refuse, and our own client could not read what is stored. */
#ifndef EXCORE_API_EVENT_DEPTH_H
#define EXCORE_API_EVENT_DEPTH_H

#include <excore/json.h>

#define EVENT_DATA_DEPTH     64
#define EVENT_ENVELOPE_DEPTH 16 /* {"writes":[{"events":[{"data":…: more than there are */

static const ex_json_options event_document = {.max_depth =
                                                   EVENT_DATA_DEPTH + EVENT_ENVELOPE_DEPTH};

#endif
