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
