/* openapi_text.c: see openapi_text.h. One entry for each route of api/rest/api.c that is not
 * expanded from the application; a test compares the two. */
#include "model/openapi_text.h"

/* clang-format off */

#define REF(kind, name)     "{'$ref':'#/components/" kind "/" name "'}"
#define SCHEMA(name)        "{'schema':" REF("schemas", name) "}"
#define JSON_OF(name)       "'application/json':" SCHEMA(name)
#define BATCH               "'application/cloudevents-batch+json':{'schema':{'type':'array','items':" REF("schemas", "CloudEvent") "}}"
#define EVENT_STREAM        "'text/event-stream':{'schema':{'type':'string'}}"
#define PROBLEM(status)     "'" status "':" REF("responses", "Problem")
#define ANSWER(status, text, content) "'" status "':{'description':'" text "','content':{" content "}}"
#define QUERY_U64(name, text) "{'name':'" name "','in':'query','description':'" text "','schema':{'type':'integer','minimum':0}}"
#define QUERY_LIST(name, text) "{'name':'" name "','in':'query','description':'" text \
    "','explode':false,'schema':{'type':'array','items':{'type':'string'}}}"
#define QUERY_TEXT(name, text) "{'name':'" name "','in':'query','description':'" text "','schema':{'type':'string','minLength':1,'maxLength':255}}"
#define REFUSED_READ        PROBLEM("400") "," PROBLEM("406") "," PROBLEM("409") "," PROBLEM("421") "," PROBLEM("503") "," PROBLEM("504")
#define REFUSED_APPEND      PROBLEM("400") "," PROBLEM("403") "," PROBLEM("409") "," PROBLEM("413") "," PROBLEM("415") "," PROBLEM("421") "," \
    PROBLEM("422") "," PROBLEM("500") "," PROBLEM("503") "," PROBLEM("504")
#define UNCHANGED           "'304':" REF("responses", "Unchanged")
#define FRAMES              REF("parameters", "Frames")
#define IF_CHANGED          REF("parameters", "IfChanged")
#define LAST_EVENT_ID       REF("parameters", "LastEventId")
#define LOG_OF_POSITION     REF("parameters", "LogHeader") "," REF("parameters", "Log")
#define REACH               REF("parameters", "MinPosition") "," REF("parameters", "Consistency")

#define ONE_VIEW            "{'type':'object','required':['context','name','state','position','lag','parked']}"
#define VIEW                "'application/json':{'schema':" ONE_VIEW "}"
#define VIEWS               "'application/json':{'schema':{'type':'object','required':['views'],'properties':{'views':{'type':'array','items':" ONE_VIEW "}}}}"
#define PARKED              "'application/json':{'schema':{'type':'object','required':['parked','next','has_more'],'properties':{" \
    "'parked':{'type':'array','items':{'type':'object','required':['position','stream','type','reason','attempts','parked_at','state']}}," \
    "'next':{'type':'integer','minimum':0},'has_more':{'type':'boolean'}}}}"
#define BY                  "{'content':{'application/json':{'schema':{'type':'object','additionalProperties':false," \
    "'properties':{'by':{'type':'string','maxLength':200}}}}}}"
#define RETRIED_ANSWER      "'application/json':{'schema':{'type':'object','required':['asked','applied','parked_again','waiting']}}"
#define RETRIED             ANSWER("200", "All of it was tried", RETRIED_ANSWER) "," ANSWER("202", "Some are still waiting", RETRIED_ANSWER)

static const struct {
    http_method method;
    const char *pattern;
    const char *text;
} operations[] = {
    {HTTP_POST_, "/v1/streams/{stream}",
     "{'operationId':'append_stream','tags':['events'],'summary':'Append events to one stream, all or none',"
     "'parameters':[" REF("parameters", "IfMatch") "," REF("parameters", "IfNoneMatch") "," REF("parameters", "CorrelationId") "],"
     "'requestBody':{'required':true,'content':{" JSON_OF("Append") ","
     "'application/cloudevents+json':" SCHEMA("CloudEvent") "," BATCH "}},"
     "'responses':{" ANSWER("201", "Stored", JSON_OF("Appended")) ","
     ANSWER("200", "All of it was stored before: the first outcome", JSON_OF("Appended")) ","
     REFUSED_APPEND "}}"},
    {HTTP_POST_, "/v1/append",
     "{'operationId':'append_streams','tags':['events'],'summary':'Append events to several streams, all or none',"
     "'parameters':[" REF("parameters", "CorrelationId") "],"
     "'requestBody':{'required':true,'content':{" JSON_OF("AppendStreams") "}},"
     "'responses':{" ANSWER("201", "Stored", JSON_OF("Appended")) ","
     ANSWER("200", "All of it was stored before: the first outcome", JSON_OF("Appended")) ","
     REFUSED_APPEND "}}"},
    {HTTP_GET_, "/v1/streams/{stream}",
     "{'operationId':'read_stream','tags':['events'],'summary':'Read one stream, or follow it as server-sent events',"
     "'parameters':[" QUERY_U64("from", "First version, inclusive. 0: the first, backward the last") ","
     QUERY_U64("limit", "Events of a page, clamped to 1..1000 (default 1000)") ","
     "{'name':'direction','in':'query','schema':{'type':'string','enum':['forward','backward'],'default':'forward'}},"
     REACH "," LOG_OF_POSITION "," FRAMES "," IF_CHANGED "," LAST_EVENT_ID "],"
     "'responses':{" ANSWER("200", "A page, or an event stream", JSON_OF("Page") "," BATCH "," EVENT_STREAM) ","
     UNCHANGED "," PROBLEM("404") "," REFUSED_READ "}}"},
    {HTTP_GET_, "/v1/events",
     "{'operationId':'read_log','tags':['events'],'summary':'Read the log after a position, or follow it as server-sent events',"
     "'parameters':[" QUERY_U64("after", "Position, exclusive; for an event stream also the word head") ","
     QUERY_U64("limit", "Events of a page, clamped to 1..1000 (default 100)") ","
     QUERY_LIST("types", "Any of these types") "," QUERY_LIST("tags", "All of these tags") ","
     QUERY_LIST("streams", "Any of these streams") ","
     QUERY_TEXT("correlation_id", "Events of this correlation id; goes together with the other filters") "," REACH "," LOG_OF_POSITION ","
     FRAMES "," IF_CHANGED "," LAST_EVENT_ID "],"
     "'responses':{" ANSWER("200", "A page, or an event stream", JSON_OF("Page") "," BATCH "," EVENT_STREAM) ","
     UNCHANGED "," REFUSED_READ "}}"},
    {HTTP_GET_, "/v1/status",
     "{'operationId':'status','tags':['operation'],'summary':'Version and uptime, the store, and how far the views are',"
     "'responses':{" ANSWER("200", "The status", JSON_OF("Status")) "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_GET_, "/v1/views",
     "{'operationId':'views','tags':['operation'],'summary':'How far the views are',"
     "'responses':{" ANSWER("200", "The views", VIEWS) "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_GET_, "/v1/views/{view}",
     "{'operationId':'view','tags':['operation'],'summary':'How far one view is',"
     "'responses':{" ANSWER("200", "The view", VIEW) "," PROBLEM("404") "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_GET_, "/v1/views/{view}/parked",
     "{'operationId':'view_parked','tags':['operation'],'summary':'Events that the view could not apply and left out',"
     "'parameters':[" QUERY_U64("after", "Position, exclusive") "," QUERY_U64("limit", "Events of a page, clamped to 1..1000 (default 100)") "],"
     "'responses':{" ANSWER("200", "A page", PARKED) "," PROBLEM("400") "," PROBLEM("404") "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_POST_, "/v1/views/{view}/parked/retry",
     "{'operationId':'view_retry_all','tags':['operation'],'summary':'Apply all that is parked again','requestBody':" BY ","
     "'responses':{" RETRIED "," PROBLEM("400") "," PROBLEM("404") "," PROBLEM("403") "," PROBLEM("415") "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_POST_, "/v1/views/{view}/parked/{position}/retry",
     "{'operationId':'view_retry','tags':['operation'],'summary':'Apply a parked event again','requestBody':" BY ","
     "'responses':{" RETRIED "," PROBLEM("400") "," PROBLEM("404") "," PROBLEM("403") "," PROBLEM("415") "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_POST_, "/v1/views/{view}/parked/{position}/skip",
     "{'operationId':'view_skip','tags':['operation'],'summary':'Settle a parked event: it stays out of the view',"
     "'requestBody':{'required':true,'content':{'application/json':{'schema':{'type':'object','additionalProperties':false,"
     "'required':['reason'],'properties':{'reason':{'type':'string','minLength':1,'maxLength':1000},'by':{'type':'string','maxLength':200}}}}}},"
     "'responses':{" ANSWER("200", "Skipped", "'application/json':{'schema':{'type':'object'}}") ","
     PROBLEM("400") "," PROBLEM("404") "," PROBLEM("403") "," PROBLEM("415") "," PROBLEM("421") "," PROBLEM("503") "}}"},
    {HTTP_GET_, "/health/live",
     "{'operationId':'live','tags':['operation'],'summary':'Whether the process answers',"
     "'responses':{" ANSWER("200", "Alive", "'application/json':{'schema':{'type':'object'}}") "}}"},
    {HTTP_GET_, "/health/ready",
     "{'operationId':'health_ready','tags':['operation'],'summary':'Whether it can serve',"
     "'responses':{" ANSWER("200", "Healthy", JSON_OF("Health")) "," ANSWER("503", "Not healthy, or shutting down", JSON_OF("Health")) "}}"},
    {HTTP_GET_, "/ready",
     "{'operationId':'ready','tags':['operation'],'summary':'The same as /health/ready',"
     "'responses':{" ANSWER("200", "Healthy", JSON_OF("Health")) "," ANSWER("503", "Not healthy, or shutting down", JSON_OF("Health")) "}}"},
    {HTTP_GET_, "/health",
     "{'operationId':'health','tags':['operation'],'summary':'Readiness with version, commit and uptime',"
     "'responses':{" ANSWER("200", "Healthy", JSON_OF("Health")) "," ANSWER("503", "Not healthy, or shutting down", JSON_OF("Health")) "}}"},
    {HTTP_GET_, "/metrics",
     "{'operationId':'metrics','tags':['operation'],'summary':'Prometheus text, format 0.0.4',"
     "'responses':{" ANSWER("200", "The metrics", "'text/plain':{'schema':{'type':'string'}}") "," PROBLEM("421") "}}"},
    {HTTP_GET_, "/openapi.json",
     "{'operationId':'openapi','tags':['operation'],'summary':'This document',"
     "'parameters':[" IF_CHANGED "],'responses':{" ANSWER("200", "OpenAPI 3.1", "'application/json':{'schema':{'type':'object'}}") "," UNCHANGED "," PROBLEM("404") "," PROBLEM("421") "}}"},
};

#define TEXT(limit) "{'type':'string','minLength':1,'maxLength':" limit "}"
#define ID "{'type':'string','description':'UUID or ULID'," \
    "'pattern':'^([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25})$'}"
#define TAG "{'type':'string','maxLength':255,'pattern':'^[^:]+:.+$','description':'key:value'}"
#define TIME "{'type':'string','format':'date-time'}"
#define TEXTS "{'type':'array','items':{'type':'string'}}"
#define U64   "{'type':'integer','minimum':0}"
#define EXPECTED "{'oneOf':[{'type':'string','enum':['any','no_stream','exists']}," U64 "]}"

const char openapi_schemas[] =
    "'NewEvent':{'type':'object','additionalProperties':false,'required':['type'],'properties':{"
    "'type':" TEXT("255") ","
    "'data':{'description':'Any JSON; kept byte for byte'},"
    "'data_base64':{'type':'string','contentEncoding':'base64','description':'For content that is not JSON'},"
    "'content_type':{'type':'string','minLength':1,'maxLength':255,'default':'application/json'},"
    "'id':" ID ","
    "'metadata':{'type':'object'},"
    "'tags':{'type':'array','maxItems':32,'items':" TAG "},"
    "'schema_version':{'type':'integer','minimum':1,'maximum':2147483647,'default':1}},"
    "'oneOf':[{'required':['data']},{'required':['data_base64']}]},"

    "'Expected':" EXPECTED ","

    "'Condition':{'type':'object','additionalProperties':false,'required':['fail_if_match'],'properties':{"
    "'fail_if_match':{'type':'object','additionalProperties':false,'required':['items'],'properties':{"
    "'items':{'type':'array','description':'OR-ed','items':{'type':'object','additionalProperties':false,'properties':{"
    "'types':{'type':'array','items':" TEXT("255") "},'tags':{'type':'array','items':" TAG "}}}}}},"
    "'after':" U64 ",'log':" REF("schemas", "LogToken") "}},"
    "'LogToken':{'type':'string','description':'LOG/EPOCH: which log a position is of, as the header excore-log of an answer has it',"
    "'pattern':'^[0-9A-Za-z-]{26,36}/[0-9A-Za-z-]{26,36}$'},"

    "'Append':{'type':'object','additionalProperties':false,'required':['events'],'properties':{"
    "'events':{'type':'array','minItems':1,'description':'At most store.events_per_append (10,000)','items':" REF("schemas", "NewEvent") "},"
    "'expected':" REF("schemas", "Expected") ",'condition':" REF("schemas", "Condition") "}},"

    "'AppendStreams':{'type':'object','additionalProperties':false,'required':['writes'],'properties':{"
    "'writes':{'type':'array','minItems':1,'items':{'type':'object','additionalProperties':false,'required':['stream'],'properties':{"
    "'stream':" TEXT("255") ",'expected':" REF("schemas", "Expected") ","
    "'events':{'type':'array','items':" REF("schemas", "NewEvent") "}}}},"
    "'condition':" REF("schemas", "Condition") "}},"

    "'Appended':{'type':'object','required':['position','version','events'],'properties':{"
    "'position':" U64 ",'version':" U64 ",'duplicate':{'type':'boolean'},"
    "'events':{'type':'array','items':{'type':'object','required':['id','position','version'],'properties':{"
    "'stream':{'type':'string'},'id':" ID ",'position':" U64 ",'version':" U64 "}}}}},"

    "'Event':{'type':'object','required':['position','stream','version','id','type','schema_version','metadata','tags','recorded_at'],"
    "'properties':{'position':" U64 ",'stream':{'type':'string'},'version':" U64 ",'id':" ID ","
    "'type':{'type':'string'},'schema_version':" U64 ",'content_type':{'type':'string'},'data':true,"
    "'data_base64':{'type':'string','contentEncoding':'base64'},'metadata':{'type':'object'},'tags':" TEXTS ","
    "'correlation_id':{'type':'string'},'causation_id':{'type':'string'},"
    "'recorded_at':" TIME "},'oneOf':[{'required':['data']},{'required':['data_base64']}]},"

    "'CloudEvent':{'type':'object','required':['specversion','id','source','type'],'properties':{"
    "'specversion':{'const':'1.0'},'id':{'type':'string','minLength':1},'source':{'type':'string','minLength':1,'format':'uri-reference'},'type':" TEXT("255") ","
    "'subject':{'type':'string','minLength':1},'dataschema':{'type':'string','format':'uri'},'time':{'type':'string','format':'date-time'},'datacontenttype':{'type':'string'},"
    "'data':true,'data_base64':{'type':'string','contentEncoding':'base64'},"
    "'position':{'type':'string','pattern':'^[0-9]+$'},'streamversion':{'type':'string','pattern':'^[0-9]+$'},"
    "'schemaversion':{'type':'integer','minimum':1},'correlationid':{'type':'string'},'causationid':{'type':'string'},"
    "'tags':{'type':'string'},'metadata':{'type':'string'}}},"

    "'Page':{'type':'object','required':['events','next','has_more','head'],'properties':{"
    "'events':{'type':'array','items':" REF("schemas", "Event") "},'next':" U64 ",'has_more':{'type':'boolean'},'head':" U64 "}},"

    "'CommandResult':{'type':'object','required':['outcome','version','position','events'],'properties':{"
    "'outcome':{'type':'string','enum':['executed','failed']},'reason':{'type':'string'},'version':" U64 ","
    "'position':" U64 ",'duplicate':{'type':'boolean'},'events':{'type':'array','items':{'type':'object','required':['type','id','position','version'],'properties':{"
    "'type':{'type':'string'},'id':" ID ",'position':" U64 ",'version':" U64 "}}}}},"

    "'Health':{'type':'object','required':['status','checks'],'properties':{"
    "'status':{'type':'string','enum':['healthy','degraded','unhealthy']},"
    "'checks':{'type':'object','additionalProperties':{'type':'string'}},'timestamp':{'type':'string','format':'date-time'},"
    "'version':{'type':'string'},'commit':{'type':'string'},'uptime_seconds':" U64 "}},"

    "'Status':{'type':'object','required':['server','store','views'],'properties':{"
    "'server':{'type':'object','required':['version','commit','uptime_seconds'],'properties':{'version':{'type':'string'},'commit':{'type':'string'},'uptime_seconds':" U64 "}},"
    "'store':{'type':'object','required':['engine','head','durability'],'properties':{'engine':{'type':'string'},'format':" U64 ",'head':" U64 ","
    "'clock_ahead_seconds':" U64 ",'size_bytes':" U64 ",'durability':{'type':'string','enum':['full','normal','none']}}},"
    "'views':{'type':'array','items':{'type':'object','required':['name','state','position'],'properties':{'context':{'type':'string'},'name':{'type':'string'},"
    "'state':{'type':'string','enum':['rebuilding','active','paused','standby','error']},'position':" U64 ",'lag':" U64 ",'parked':" U64 ",'error':{'type':'string'}}}}}},"

    "'Problem':{'type':'object','required':['type','title','status','detail','instance','code','timestamp'],'properties':{"
    "'type':{'type':'string'},'title':{'type':'string'},'status':{'type':'integer'},'detail':{'type':'string'},"
    "'instance':{'type':'string'},'code':{'type':'string','pattern':'^[A-Z][A-Z0-9_]*$'},'timestamp':" TIME ","
    "'field':{'type':'string','description':'Path of the faulty member, name of the parameter or header'},'head':" U64 ",'expected':" U64 ",'current':" U64 ",'position':" U64 ","
    "'existing_event_id':{'type':'string'},'audit_id':" U64 ","
    "'event_ids':{'type':'array','items':{'type':'string'},'description':'OUTCOME_UNKNOWN: ids of the events, to repeat them with'},"
    "'command_id':{'type':'string'},'correlation_id':{'type':'string'}}}";

const char openapi_responses[] =
    "'Problem':{'description':'RFC 9457, with a stable code','content':{'application/problem+json':" SCHEMA("Problem") "}},"
    "'Unchanged':{'description':'What the client has is still so'}";

const char openapi_parameters[] =
    "'IfMatch':{'name':'If-Match','in':'header','description':'The version in quotes, or * for an existing stream','schema':{'type':'string','pattern':'^(\\\\*|\\u0022[0-9]{1,18}\\u0022)$'}},"
    "'IfNoneMatch':{'name':'If-None-Match','in':'header','description':'* when the stream must not exist','schema':{'const':'*'}},"
    "'CorrelationId':{'name':'X-Correlation-ID','in':'header','schema':{'type':'string','pattern':'^[A-Za-z0-9._-]{1,128}$'}},"
    "'IdempotencyKey':{'name':'Idempotency-Key','in':'header','description':'The command id: a repeated one gives the stored outcome',"
    "'schema':{'type':'string','minLength':1,'maxLength':255}},"
    "'IfChanged':{'name':'If-None-Match','in':'header','description':'The ETag of an earlier answer: 304 when nothing has changed','schema':{'type':'string'}},"
    "'Frames':{'name':'frames','in':'query','description':'Of an event stream. unnamed: stored events reach EventSource.onmessage',"
    "'schema':{'type':'string','enum':['named','unnamed'],'default':'named'}},"
    "'LogHeader':{'name':'excore-log','in':'header','description':'Of the answer that gave the position; 409 LOG_CHANGED when other events may stand there now',"
    "'schema':" REF("schemas", "LogToken") "},"
    "'Log':{'name':'log','in':'query','description':'The same as the header excore-log, for what cannot send headers',"
    "'schema':" REF("schemas", "LogToken") "},"
    "'LastEventId':{'name':'Last-Event-ID','in':'header','description':'Resumes an event stream; wins over from and after',"
    "'schema':{'type':'string','pattern':'^[0-9]{1,18}$'}},"
    "'MinPosition':{'name':'min_position','in':'query','description':'The position that a write answered, on whichever node: the answer sees it. Waits for it, then 504','schema':" U64 "},"
    "'Consistency':{'name':'consistency','in':'query','description':'current: sees all that any node acknowledged before. node: what this node has heard',"
    "'schema':{'type':'string','enum':['node','current'],'default':'node'}},"
    "'Limit':{'name':'limit','in':'query','description':'Rows, clamped','schema':" U64 "},"
    "'Cursor':{'name':'cursor','in':'query','description':'continue_cursor of the page before','schema':{'type':'string','minLength':1}}";

/* clang-format on */

const char *openapi_operation(http_method method, const char *pattern)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (operations[i].method == method && strcmp(operations[i].pattern, pattern) == 0)
            return operations[i].text;
    return NULL;
}
