import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { UserError } from '../errors';
import { decode, type Encoded, encode } from './codec';
import { modelBytes, parseModel } from './file';
import { type AttributeProto, type ModelProto, modelSpec, type TensorProto, tensorSpec } from './schema';

const joined = ({ chunks }: Encoded): Uint8Array => new Uint8Array(Buffer.concat(chunks));

/** A number of a field that no version of the format has. */
const FOREIGN = 4000;

/** A message by hand: each part one field; every message gets a foreign field that says where it stood. */
function message(name: string, ...parts: Array<(w: BinaryWriter) => void>): Uint8Array {
  const w = new BinaryWriter();
  for (const part of parts) part(w);
  w.tag(FOREIGN, WireType.LengthDelimited).string(`foreign in ${name};`);
  return w.finish();
}
const sub =
  (no: number, bytes: Uint8Array) =>
  (w: BinaryWriter): void =>
    void w.tag(no, WireType.LengthDelimited).bytes(bytes);
const text =
  (no: number, value: string) =>
  (w: BinaryWriter): void =>
    void w.tag(no, WireType.LengthDelimited).string(value);
const whole =
  (no: number, value: number) =>
  (w: BinaryWriter): void =>
    void w.tag(no, WireType.Varint).int64(value);

const valueInfo = (name: string): Uint8Array =>
  message(
    `value ${name}`,
    text(1, name),
    text(3, 'doc of a value;'),
    sub(
      2,
      message(
        'type',
        text(6, 'denotation of a type;'),
        sub(
          1,
          message('tensor type', whole(1, 1), sub(2, message('shape', sub(1, message('dimension', whole(1, 2), text(3, 'DATA_BATCH')))))),
        ),
      ),
    ),
  );

const tensor = (name: string): Uint8Array =>
  message(
    `tensor ${name}`,
    whole(1, 2),
    whole(2, 1),
    // segment
    sub(3, message('segment', whole(1, 0), whole(2, 2))),
    text(8, name),
    sub(9, new Uint8Array(8)),
    text(12, 'doc of a tensor;'),
    sub(16, message('tensor metadata', text(1, 'k'), text(2, 'v'))),
  );

const node = message(
  'node',
  ...['x', 'w'].map((n) => text(1, n)),
  text(2, 'y'),
  text(3, 'sum'),
  text(4, 'Add'),
  sub(5, message('attribute', text(1, 'unused'), whole(3, 5), whole(20, 2), text(13, 'doc of an attribute;'), text(21, 'reference'))),
  text(6, 'doc of a node;'),
  text(8, 'overload'),
  sub(9, message('node metadata', text(1, 'source'), text(2, 'file.py:1'))),
);

const everything = message(
  'model',
  whole(1, 10),
  text(2, 'hand'),
  text(6, 'doc of a model;'),
  sub(8, message('operator set', whole(2, 17))),
  sub(14, message('model metadata', text(1, 'author'), text(2, 'me'))),
  sub(20, message('training info')),
  sub(25, message('function', text(1, 'Own'), text(10, 'example'))),
  sub(
    7,
    message(
      'graph',
      sub(1, node),
      text(2, 'g'),
      sub(5, tensor('w')),
      text(10, 'doc of a graph;'),
      sub(11, valueInfo('x')),
      sub(12, valueInfo('y')),
      sub(13, valueInfo('inner')),
      sub(14, message('quantization annotation', text(1, 'w'))),
      sub(15, message('sparse tensor', sub(1, tensor('sparse')), sub(2, tensor('indices')), whole(3, 4))),
      sub(16, message('graph metadata', text(1, 'k'), text(2, 'v'))),
    ),
  ),
);

const foreign = (bytes: Uint8Array): string[] =>
  [
    ...new Set(
      Buffer.from(bytes)
        .toString('latin1')
        .match(/(foreign in|doc of|denotation of) [a-z ]+;|DATA_BATCH/g),
    ),
  ].sort();

describe('unknown fields', () => {
  it('survive decoding and encoding at every level', () => {
    const decoded = decode<ModelProto>(everything, modelSpec);
    const again = joined(encode(decoded, modelSpec));
    expect(decode(again, modelSpec)).toEqual(decoded);
    expect(foreign(again)).toEqual(foreign(everything));
  });

  it('survive the way through a Model: functions, training info, annotations, segments, documentation, denotations, sparse tensors', () => {
    const lost = foreign(everything).filter((f) => !foreign(modelBytes(parseModel(everything))).includes(f));
    // Entries of maps and operator sets have no further fields in any version of the format; `inner` is no value of this graph.
    expect(lost.filter((f) => !/(node|tensor|model) metadata|operator set|value inner/.test(f))).toEqual([]);
    expect(lost).not.toContain('foreign in graph metadata;');
  });

  it('keep a field of another wire type than the table says', () => {
    const bytes = new BinaryWriter().tag(2, WireType.Varint).int64(9).finish();
    const decoded = decode<ModelProto>(bytes, modelSpec);
    expect(decoded.producerName).toBeUndefined();
    expect(joined(encode(decoded, modelSpec))).toEqual(bytes);
  });
});

describe('numbers', () => {
  // Time that grew with the square of their number would run into the limit.
  it('reads many floats that are not packed', { timeout: 20_000 }, () => {
    const w = new BinaryWriter();
    const n = 200_000;
    for (let i = 0; i < n; i++) w.tag(4, WireType.Bit32).float(i);
    const { floatData } = decode<TensorProto>(w.finish(), tensorSpec);
    expect([floatData!.length, floatData![1], floatData![n - 1]]).toEqual([n, 1, n - 1]);
  });

  it('keeps 64-bit integers that a double cannot hold', () => {
    const proto = { dims: [2n ** 63n - 1n, -(2n ** 63n), 5], stringData: [], externalData: [], uint64Data: [2n ** 64n - 1n] };
    expect(decode(joined(encode(proto, tensorSpec)), tensorSpec)).toEqual(proto);
  });

  it('keeps negative 32-bit integers', () => {
    const proto = { dims: [], stringData: [], externalData: [], int32Data: [-1, -128, 2 ** 31 - 1] };
    expect(decode(joined(encode(proto, tensorSpec)), tensorSpec)).toEqual(proto);
  });
});

describe('damage', () => {
  it('refuses every cut of a file with one sentence', () => {
    for (let length = 1; length < everything.byteLength; length++) {
      try {
        decode(everything.subarray(0, length), modelSpec);
      } catch (e) {
        expect(e).toBeInstanceOf(UserError);
        expect((e as Error).message).toMatch(/^not a valid \w+(\.\w+)*: unreadable field at byte \d+$/);
      }
    }
  });

  it('refuses graphs nested without end', () => {
    let attribute: AttributeProto = { name: 'body', strings: [], tensors: [], graphs: [] };
    for (let i = 0; i < 40; i++) {
      const inner = { input: [], output: ['v'], opType: 'If', attribute: [attribute], metadataProps: [] };
      attribute = { ...attribute, g: { node: [inner], initializer: [], input: [], output: [], valueInfo: [] } };
    }
    const graph = { ...attribute.g!, name: 'outer' };
    const bytes = joined(encode({ graph, opsetImport: [], metadataProps: [] }, modelSpec));
    expect(() => decode(bytes, modelSpec)).toThrow(/nested more than 64 deep/);
  });

  it('refuses a packed number that reaches past its field, and packed floats of a fractional length', () => {
    const ints = new BinaryWriter()
      .tag(7, WireType.LengthDelimited)
      .bytes(Uint8Array.of(1, 0x80))
      .tag(2, WireType.Varint)
      .int32(1)
      .finish();
    expect(() => decode(ints, tensorSpec)).toThrow(/not a valid TensorProto/);
    const floats = new BinaryWriter().tag(4, WireType.LengthDelimited).bytes(new Uint8Array(5)).finish();
    expect(() => decode(floats, tensorSpec)).toThrow(/not a valid TensorProto/);
  });
});
