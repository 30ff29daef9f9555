/* frame.h: server-sent events as bytes (WHATWG HTML, section 9.2).
 *
 *   id: 12
 *   event: OrderPlaced
 *   data: {"position":12,…}
 *   (blank line)
 *
 * Every line break inside data (LF, CR or CR LF) starts a new data line; the
 * client joins them with LF, which in JSON is blank space all the same. */
#ifndef EXCORE_API_SSE_FRAME_H
#define EXCORE_API_SSE_FRAME_H

#include <excore/buf.h>
#include <excore/event.h>

/** A frame without an id: the client's Last-Event-ID stays what it is. `name` is one line. */
void sse_put_frame(ex_buf *out, ex_slice name, ex_slice data);
/** A stored event in our own JSON form, under this id. */
void sse_put_event(ex_buf *out, const ex_event *event, uint64_t id, bool is_named);

#endif
