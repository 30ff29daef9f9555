// verify.js: are these the payloads that were loaded, byte for byte and in order?
//
//   curl …/v1/events?types=issues | node verify.js DIR type=issues
//   excore read STREAM --raw …    | node verify.js DIR --raw stream=NAME
//   excore read STREAM --json …   | node verify.js DIR --lines stream=NAME
//
// Reads events, or pages with "events", as JSON from standard input and compares data, stream, type
// and tags with DIR/manifest.tsv, narrowed to a stream, a type or a tag (several: all must hold).
// --raw: bare data, a newline behind each. --lines: an event a line, so that the command line has
// made blanks of the line feeds between the tokens.
'use strict';
const fs = require('fs');
const path = require('path');
const { slices } = require('./json_slices.js');

const [dir, ...words] = process.argv.slice(2);
const conditions = words.filter((word) => !word.startsWith('--'));
const isRaw = words.includes('--raw');
const isLines = words.includes('--lines');

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

function payload(row) {
    const bytes = fs.readFileSync(path.join(dir, `${row.number}.json`), 'utf8');
    return isLines ? bytes.replace(/[\r\n]/g, ' ') : bytes;
}

function done() {
    console.log(`${expected.length} payloads, byte for byte (${conditions.join(', ') || 'all'})`);
    process.exit(0);
}

const text = fs.readFileSync(0, 'utf8');
if (isRaw) {
    if (text !== expected.map((row) => `${payload(row)}\n`).join('')) fail(`other bytes (${conditions})`);
    done();
}

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
    if (field('data') !== payload(want)) fail(`${where}: other bytes`);
});
done();
