/* parcels_app.c: an application for end-to-end tests, built several times, each with a difference:
 *
 *   FAULTY    two queries that do not fit the view
 *   CHANGED   the handler takes heavy parcels, too: other code, nothing else */
#include <excore/app.h>

typedef struct parcel {
    ex_slice parcel_id;
    int64_t grams;
} parcel;
typedef struct parcel parcel_sent;
EX_TYPE(parcel, "Parcel", EX_KEY(parcel, parcel_id), EX_FIELD(parcel, grams));
EX_TYPE(parcel_sent, "ParcelSent", EX_KEY(parcel_sent, parcel_id), EX_FIELD(parcel_sent, grams));

static ex_status when_sent(ex_view_tx *tx, const parcel_sent *e, const ex_event *event)
{
    (void)event;
#ifndef CHANGED
    if (e->grams > 2000)
        return ex_view_error(tx, EX_EINVAL, "too heavy");
#endif
    return ex_row_store(tx, parcel, e);
}

#define PARCEL_EVENTS(WHEN) WHEN(parcel_sent, when_sent)
EX_VIEW(parcel, "parcels", 1, PARCEL_EVENTS);

/* Whichever it is: fails as soon as there are two. */
static const ex_query_def the_parcel = {.name = "the-parcel",
                                        .view = &parcel_view,
                                        .kind = EX_QUERY_SINGLE,
                                        .row = &parcel_type,
                                        .sql = "SELECT * FROM parcel"};
#ifdef FAULTY
static const ex_query_def no_column = {.name = "no-column",
                                       .view = &parcel_view,
                                       .kind = EX_QUERY_SINGLE,
                                       .row = &parcel_type,
                                       .sql = "SELECT * FROM parcel WHERE gram > 1"};
static const ex_query_def no_count = {.name = "no-count",
                                      .view = &parcel_view,
                                      .kind = EX_QUERY_COUNT,
                                      .sql = "SELECT parcel_id FROM parcel"};
#define QUERIES EX_QUERIES(&the_parcel, &no_column, &no_count)
#else
#define QUERIES EX_QUERIES(&the_parcel)
#endif

static const ex_context post = {.name = "post", EX_VIEWS(&parcel_view), QUERIES};

EX_APP("parcels", &post);
