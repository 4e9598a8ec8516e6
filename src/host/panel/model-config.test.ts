import { expect, it } from 'vitest';
import { preferredConfig } from './model-config';

it.each<[string, string[], string | undefined]>([
  ['the one named after the model', ['/w/net-2.espalier.json', '/w/net.espalier.json'], '/w/net.espalier.json'],
  ['else the first', ['/w/cheap.espalier.json', '/w/fast.espalier.json'], '/w/cheap.espalier.json'],
  ['none where none names it', [], undefined],
])('%s', (_, files, chosen) => expect(preferredConfig(files, 'net')).toBe(chosen));
