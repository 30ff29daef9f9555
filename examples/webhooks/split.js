// split.js: one file for each payload of @octokit/webhooks-examples: split.js INDEX.JSON DIR
//
// Writes DIR/NNN.json (the payload's exact text), DIR/NNN.body (the same as a request to append
// it), and DIR/manifest.tsv: NNN, stream, event name, tags… in the order of the package.
'use strict';
const fs = require('fs');
const path = require('path');
const { slices } = require('./json_slices.js');

const [index, dir] = process.argv.slice(2);
const text = fs.readFileSync(index, 'utf8');

function streamOf(payload) {
    if (payload.repository) return `repository-${payload.repository.full_name}`;
    if (payload.organization) return `organization-${payload.organization.login}`;
    return `sender-${payload.sender ? payload.sender.login : 'github'}`;
}

function tagsOf(payload) {
    const tags = [];
    if (payload.repository) tags.push(`repository:${payload.repository.full_name}`);
    if (payload.sender) tags.push(`sender:${payload.sender.login}`);
    return tags;
}

const manifest = [];
for (const event of slices(text)[0].items) {
    const name = event.members.get('name');
    const type = JSON.parse(text.slice(name.start, name.end));
    for (const example of event.members.get('examples').items) {
        const slice = text.slice(example.start, example.end);
        const payload = JSON.parse(slice);
        const tags = tagsOf(payload);
        const number = String(manifest.length + 1).padStart(3, '0');
        fs.writeFileSync(path.join(dir, `${number}.json`), slice);
        fs.writeFileSync(path.join(dir, `${number}.body`),
            `{"events":[{"type":${JSON.stringify(type)},"tags":${JSON.stringify(tags)},"data":${slice}}]}`);
        manifest.push([number, streamOf(payload), type, ...tags].join('\t'));
    }
}
fs.writeFileSync(path.join(dir, 'manifest.tsv'), manifest.join('\n') + '\n');
