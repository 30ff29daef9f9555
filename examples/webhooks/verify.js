// verify.js: are these the payloads that were loaded, byte for byte and in order?
//
//   excore read STREAM --json … | node verify.js DIR stream=NAME
//   curl …/v1/events?types=issues | node verify.js DIR type=issues
//
// Reads events, or pages with "events", as JSON from standard input and compares data, type and
// tags with DIR/manifest.tsv, narrowed to a stream, a type or a tag (several: all must hold).
'use strict';
const fs = require('fs');
const path = require('path');
const { slices } = require('./json_slices.js');

const [dir, ...conditions] = process.argv.slice(2);

function fail(text) {
    console.error(`verify: ${text}`);
    process.exit(1);
}

const keeps = {
    stream: (row, value) => row.stream === value,
    type: (row, value) => row.type === value,
    tag: (row, value) => row.tags.includes(value),
};

let expected = fs.readFileSync(path.join(dir, 'manifest.tsv'), 'utf8').trimEnd().split('\n')
    .map((line) => line.split('\t'))
    .map(([number, stream, type, ...tags]) => ({ number, stream, type, tags }));
for (const condition of conditions) {
    const [, what, value] = /^(\w+)=(.*)$/.exec(condition);
    expected = expected.filter((row) => keeps[what](row, value));
}
if (expected.length === 0) fail(`nothing was loaded with ${conditions}`);

const text = fs.readFileSync(0, 'utf8');
const events = slices(text).flatMap((root) =>
    root.members.has('events') ? root.members.get('events').items : [root]);
if (events.length !== expected.length)
    fail(`${events.length} events, expected ${expected.length} (${conditions})`);

events.forEach((event, index) => {
    const want = expected[index];
    const field = (name) => {
        const node = event.members.get(name);
        return text.slice(node.start, node.end);
    };
    const where = `event ${index + 1} (payload ${want.number})`;
    if (JSON.parse(field('type')) !== want.type) fail(`${where}: type ${field('type')}`);
    if (JSON.parse(field('stream')) !== want.stream) fail(`${where}: stream ${field('stream')}`);
    if (JSON.stringify(JSON.parse(field('tags')).sort()) !== JSON.stringify([...want.tags].sort()))
        fail(`${where}: tags ${field('tags')}`);
    if (field('data') !== fs.readFileSync(path.join(dir, `${want.number}.json`), 'utf8'))
        fail(`${where}: other bytes`);
});
console.log(`${events.length} payloads, byte for byte (${conditions.join(', ') || 'all'})`);
