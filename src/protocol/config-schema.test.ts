import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { configJsonSchema, configSchemaText, descriptionAt, fieldNamesAt, type SchemaNode } from './config-schema';

it('media/espalier.schema.json is current', () => {
  const committed = readFileSync(new URL('../../media/espalier.schema.json', import.meta.url), 'utf8').replaceAll('\r\n', '\n');
  expect(committed, 'run: npx esbuild src/protocol/write-schema.ts --bundle --platform=node | node').toBe(configSchemaText());
});

/** Fields without a description, as dotted paths. */
function undescribed(node: SchemaNode, path: string): string[] {
  const missing: string[] = [];
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const at = path === '' ? name : `${path}.${name}`;
    if (!child.description) missing.push(at);
    missing.push(...undescribed(child, at));
  }
  if (typeof node.additionalProperties === 'object') missing.push(...undescribed(node.additionalProperties, `${path}.*`));
  if (node.items) missing.push(...undescribed(node.items, `${path}[]`));
  for (const branch of node.anyOf ?? []) missing.push(...undescribed(branch, path));
  return missing;
}

describe('the schema in the editor', () => {
  it('describes every field', () => expect(undescribed(configJsonSchema(), '')).toEqual([]));

  it('allows no unknown fields anywhere', () => {
    const open: string[] = [];
    const visit = (node: SchemaNode, path: string): void => {
      if (node.properties && node.additionalProperties !== false) open.push(path);
      for (const [name, child] of Object.entries(node.properties ?? {})) visit(child, `${path}.${name}`);
      if (typeof node.additionalProperties === 'object') visit(node.additionalProperties, `${path}.*`);
      for (const branch of node.anyOf ?? []) visit(branch, path);
    };
    visit(configJsonSchema(), '');
    expect(open).toEqual([]);
  });

  it('only the model is required', () => expect((configJsonSchema() as { required?: string[] }).required).toEqual(['model']));

  it('finds fields by path, through unions and records', () => {
    expect(fieldNamesAt(['reward'])).toEqual(['prune', 'quantize', 'constants', 'lambda', 'targetAccuracy', 'targetSparsity']);
    expect(fieldNamesAt(['layers', 'conv1'])).toContain('maxRatio');
    expect(descriptionAt(['layers', 'conv1', 'skip'])).toBe('Neither prune nor quantise what matches.');
    expect(descriptionAt(['nowhere'])).toBeUndefined();
  });
});
