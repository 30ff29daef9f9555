// json_slices.js: find the exact text of values inside a JSON text.
//
// JSON.parse and JSON.stringify change numbers, escapes and blanks. To check that a store gives
// back the bytes it was given, one needs the bytes: slices(text) gives, for each JSON value in the
// text (one, or many behind each other), a tree of {start, end, members | items}; text.slice(start,
// end) is the value as it was written.
'use strict';

function slices(text) {
    let at = 0;

    function blanks() {
        while (at < text.length && ' \t\r\n'.includes(text[at])) at++;
    }

    function expect(character) {
        if (text[at] !== character) throw new Error(`expected ${character} at offset ${at}`);
        at++;
    }

    function string() {
        const start = at;
        expect('"');
        while (text[at] !== '"') {
            if (at >= text.length) throw new Error('string without an end');
            at += text[at] === '\\' ? 2 : 1;
        }
        at++;
        return JSON.parse(text.slice(start, at));
    }

    // Members or items up to `close`, each read by `one`.
    function list(close, one) {
        at++;
        blanks();
        if (text[at] !== close) {
            for (;;) {
                one();
                blanks();
                if (text[at] === close) break;
                expect(',');
                blanks();
            }
        }
        at++;
    }

    function value() {
        blanks();
        const node = { start: at };
        if (text[at] === '{') {
            node.members = new Map();
            list('}', () => {
                const key = string();
                blanks();
                expect(':');
                node.members.set(key, value());
            });
        } else if (text[at] === '[') {
            node.items = [];
            list(']', () => node.items.push(value()));
        } else if (text[at] === '"') {
            string();
        } else {
            const found = /[-+.0-9A-Za-z]+/y;
            found.lastIndex = at;
            const word = found.exec(text);
            if (!word) throw new Error(`no value at offset ${at}`);
            at += word[0].length;
        }
        node.end = at;
        return node;
    }

    const roots = [];
    for (blanks(); at < text.length; blanks()) roots.push(value());
    return roots;
}

module.exports = { slices };
