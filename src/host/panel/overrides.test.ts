import { describe, expect, it } from 'vitest';
import { parseConfigText } from '../../protocol/config-file';
import { readOverrides, withOverride } from './overrides';

const TEXT = '{\n  // which network\n  "model": "net.onnx",\n  "layers": {\n    "conv*": { "maxRatio": 0.5 } // not too far\n  }\n}\n';

describe('writing', () => {
  it('adds to layers, and keeps comments and all else', () => {
    const text = withOverride(TEXT, 'fc', { ratio: 0.25 });
    expect(text).toContain('// which network');
    expect(text).toContain('// not too far');
    expect(parseConfigText(text).config?.layers).toMatchObject({ 'conv*': { maxRatio: 0.5 }, fc: { ratio: 0.25 } });
  });
  it('makes layers where there were none', () =>
    expect(parseConfigText(withOverride('{ "model": "m" }', 'a.b', { skip: true })).config?.layers).toMatchObject({
      'a.b': { skip: true },
    }));
  it('replaces', () =>
    expect(readOverrides(withOverride(withOverride(TEXT, 'fc', { ratio: 0.25 }), 'fc', { bits: 4 }))['fc']).toEqual({ bits: 4 }));
  it.each<[string, Parameters<typeof withOverride>[2], unknown]>([
    ['bits take the place of their range alone', { bits: 4 }, { maxRatio: 0.3, bits: 4 }],
    ['a ratio takes the place of its range alone', { ratio: 0.5 }, { minBits: 4, ratio: 0.5 }],
    ['a layer that is skipped keeps its ranges for later', { skip: true }, { maxRatio: 0.3, minBits: 4, skip: true }],
    ['leaving all to the agent leaves it the ranges', null, { maxRatio: 0.3, minBits: 4 }],
  ])('%s', (_, override, entry) => {
    const text = '{ "model": "m", "layers": { "a": { "maxRatio": 0.3, "minBits": 4 } } }';
    const written = withOverride(text, 'a', override);
    expect(JSON.parse(written).layers).toEqual({ a: entry });
    expect(parseConfigText(written).problems).toEqual([]);
  });
  it('takes away its own values, and nothing else of the entry', () => {
    const text = '{ "layers": {\n  // measured\n  "a": { "maxRatio": 0.3, "bits": 4 }, "b": { "skip": false, "ratio": 0.5 } } }';
    expect(readOverrides(withOverride(text, 'a', null))['a']).toEqual({});
    expect(withOverride(text, 'a', null)).toMatch(/\/\/ measured\s+"a": \{\s+"maxRatio": 0.3\s+\}/);
    // Against a pattern that skips.
    expect(readOverrides(withOverride(text, 'b', null))['b']).toEqual({ skip: false });
  });
  it('takes away', () => {
    const text = withOverride(TEXT, 'fc', { bits: 4 });
    expect(readOverrides(withOverride(text, 'fc', null))).toEqual({ 'conv*': {} });
  });
  it('takes the empty object away with its last entry', () =>
    expect(withOverride('{ "model": "m", "layers": { "a": { "bits": 4 } } }', 'a', null)).not.toContain('layers'));
  it('taking away what is not there changes nothing', () => expect(withOverride(TEXT, 'x', null)).toBe(TEXT));
  it('keeps the line ends of the file', () =>
    expect(withOverride('{\r\n  "model": "m"\r\n}\r\n', 'a', { skip: true })).not.toMatch(/[^\r]\n/));
});

it('reads whatever stands there', () => {
  expect(readOverrides('{ "layers": { "a": { "skip": true, "ratio": "x" }, "b": 3 } }')).toEqual({ a: { skip: true } });
  expect(readOverrides('')).toEqual({});
});
