/* event_json.h: a stored event as JSON text: our own form and CloudEvents 1.0.
 *
 * Own form, in this order, absent parts left out:
 *
 *   position stream version id type schema_version [content_type] data | data_base64
 *   metadata tags [correlation_id] [causation_id] recorded_at
 *
 * data is embedded byte for byte when the content type is JSON, else it is
 * base64; content_type is shown when it is not application/json.
 *
 * CloudEvents (JSON format 1.0.2):
 *
 *   specversion id source type subject time datacontenttype data | data_base64
 *   position streamversion schemaversion [correlationid] [causationid] [tags] [metadata]
 *
 * source is /streams/{percent-encoded stream}, subject the stream. Extension
 * names are lower-case letters and digits as CloudEvents asks; its integers have 32
 * bits, so position and streamversion are decimal strings. tags are joined with
 * commas, a comma inside a tag as %2C and a percent sign as %25; metadata is JSON
 * text in a string, left out when it is {}. */
#ifndef EXCORE_API_EVENT_JSON_H
#define EXCORE_API_EVENT_JSON_H

#include <excore/buf.h>
#include <excore/event.h>

typedef enum event_form { EVENT_PLAIN, EVENT_CLOUDEVENT } event_form;

/** Append one event; check ex_buf_status(out). Thread: any. Blocking: no. */
void event_json_put(ex_buf *out, const ex_event *event, event_form form);

#endif
