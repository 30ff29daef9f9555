// node openapi_check.mjs URL: the server's document, and answers of it against the document.
import { Validator } from '@seriousme/openapi-schema-validator'
import Ajv from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

const url = process.argv[2]
const document = await (await fetch(url + '/openapi.json')).json()
const faults = []
const result = await new Validator().validate(structuredClone(document))
if (!result.valid) faults.push(JSON.stringify(result.errors))

const ajv = new Ajv({ strict: false, allErrors: true })
addFormats(ajv)
ajv.addSchema(document, 'document')
const schema = (name) => ajv.compile({ $ref: 'document#/components/schemas/' + name })
for (const name of Object.keys(document.components.schemas)) schema(name)

async function expect(status, name, path, body, headers) {
  const json = { 'content-type': 'application/json', ...headers }
  const answer = await fetch(url + path, body ? { method: 'POST', headers: json, body } : { headers })
  const check = schema(name), value = await answer.json()
  if (answer.status !== status) faults.push(`${path}: ${answer.status} ${JSON.stringify(value)}`)
  if (!check(value)) faults.push(`${path} is no ${name}: ${ajv.errorsText(check.errors)} ${JSON.stringify(value)}`)
  return value
}

const order = '/v1/orders/order/o-1'
await expect(201, 'CommandResult', order + '/create', '{"customer_id":"c"}')
await expect(201, 'Appended', '/v1/streams/s-1', '{"events":[{"type":"T","data":1,"tags":["a:1"]}]}')
const page = await expect(200, 'Page', '/v1/events')
for (const event of page.events.slice(0, 1)) {
  const known = schema('KnownEvent')
  if (!known(event)) faults.push('no KnownEvent: ' + ajv.errorsText(known.errors))
}
const batch = await fetch(url + '/v1/events', { headers: { accept: 'application/cloudevents-batch+json' } })
for (const event of await batch.json()) {
  const cloud = schema('CloudEvent')
  if (!cloud(event)) faults.push('no CloudEvent: ' + ajv.errorsText(cloud.errors))
}
await expect(200, 'Status', '/v1/status')
await expect(200, 'Health', '/health')
await expect(400, 'Problem', '/v1/streams/s-1', '{"events":[{"type":"","data":1}]}')
await expect(404, 'Problem', '/v1/streams/none')
await expect(409, 'Problem', '/v1/streams/s-1', '{"events":[{"type":"T","data":1}],"expected":9}')
await expect(415, 'Problem', '/v1/streams/s-1', 'x', { 'content-type': 'text/plain' })
await expect(422, 'Problem', order + '/submit', '{}')

for (const fault of faults) console.log(fault)
process.exit(faults.length ? 1 : 0)
