// MessagePack, as far as Fondaco's protocols use it: nil, booleans, integers up to 2^53,
// text, bytes, arrays and maps. Maps are decoded to Map, because their keys may be numbers.

const utf8 = new TextEncoder();
const text = new TextDecoder('utf-8', { fatal: true });

export function encode(value) {
    const parts = [];
    write(value, parts);
    return Buffer.concat(parts);
}

export function decode(data) {
    const reader = new Reader(data);
    const value = reader.value();
    if (reader.at !== data.length) throw new Error('bytes behind the value');
    return value;
}

function write(value, parts) {
    if (value === null) parts.push(Buffer.of(0xc0));
    else if (typeof value === 'boolean') parts.push(Buffer.of(value ? 0xc3 : 0xc2));
    else if (typeof value === 'number') parts.push(integer(value));
    else if (typeof value === 'string') {
        const bytes = utf8.encode(value);
        parts.push(head(bytes.length, [0xa0, 32], [0xd9, 0xda, 0xdb]), bytes);
    } else if (value instanceof Uint8Array) parts.push(head(value.length, null, [0xc4, 0xc5, 0xc6]), value);
    else if (Array.isArray(value)) {
        parts.push(head(value.length, [0x90, 16], [null, 0xdc, 0xdd]));
        for (const item of value) write(item, parts);
    } else {
        const entries = value instanceof Map ? [...value] : Object.entries(value);
        parts.push(head(entries.length, [0x80, 16], [null, 0xde, 0xdf]));
        for (const pair of entries) for (const item of pair) write(item, parts);
    }
}

// The shortest head there is. `short` is a tag that has room for lengths below a limit,
// `tags` are those before a length of one, two and four bytes.
function head(length, short, tags) {
    if (short !== null && length < short[1]) return Buffer.of(short[0] | length);
    if (tags[0] !== null && length < 2 ** 8) return Buffer.of(tags[0], length);
    return length < 2 ** 16 ? tagged(tags[1], 2, length) : tagged(tags[2], 4, length);
}

function tagged(tag, size, number) {
    const out = Buffer.alloc(1 + size);
    out[0] = tag;
    out.writeUIntBE(number, 1, size);
    return out;
}

function integer(value) {
    if (!Number.isSafeInteger(value) || value < 0) throw new Error(`cannot encode ${value}`);
    if (value < 0x80) return Buffer.of(value);
    if (value < 2 ** 8) return tagged(0xcc, 1, value);
    if (value < 2 ** 16) return tagged(0xcd, 2, value);
    if (value < 2 ** 32) return tagged(0xce, 4, value);
    const out = Buffer.alloc(9);
    out[0] = 0xcf;
    out.writeBigUInt64BE(BigInt(value), 1);
    return out;
}

class Reader {
    constructor(data) {
        this.data = Buffer.from(data.buffer, data.byteOffset, data.length);
        this.at = 0;
    }

    take(size) {
        if (this.at + size > this.data.length) throw new Error('value cut off');
        this.at += size;
        return this.data.subarray(this.at - size, this.at);
    }

    number(size) {
        const bytes = this.take(size);
        if (size < 8) return bytes.readUIntBE(0, size);
        const big = bytes.readBigUInt64BE();
        if (big > Number.MAX_SAFE_INTEGER) throw new Error('number too large');
        return Number(big);
    }

    text(size) {
        return text.decode(this.take(size));
    }

    array(size) {
        return Array.from({ length: size }, () => this.value());
    }

    map(size) {
        return new Map(Array.from({ length: size }, () => [this.value(), this.value()]));
    }

    value() {
        const tag = this.number(1);
        if (tag < 0x80) return tag;
        if (tag < 0x90) return this.map(tag & 0x0f);
        if (tag < 0xa0) return this.array(tag & 0x0f);
        if (tag < 0xc0) return this.text(tag & 0x1f);
        if (tag === 0xc0) return null;
        if (tag === 0xc2 || tag === 0xc3) return tag === 0xc3;
        if (tag >= 0xc4 && tag <= 0xc6) return this.take(this.number(2 ** (tag - 0xc4)));
        if (tag >= 0xcc && tag <= 0xcf) return this.number(2 ** (tag - 0xcc));
        if (tag >= 0xd9 && tag <= 0xdb) return this.text(this.number(2 ** (tag - 0xd9)));
        if (tag === 0xdc || tag === 0xdd) return this.array(this.number(2 ** (tag - 0xdb)));
        if (tag === 0xde || tag === 0xdf) return this.map(this.number(2 ** (tag - 0xdd)));
        throw new Error(`no use for tag 0x${tag.toString(16)}`);
    }
}
