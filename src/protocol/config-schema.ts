/** The JSON Schema of `*.espalier.json`, made from the zod schema: for the editor's completion and hovers, and to look fields up by path. */
import * as z from 'zod';
import { configSchema } from './config';

/** The part of JSON Schema that the config uses. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: boolean | SchemaNode;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
}

let cached: SchemaNode | undefined;

/** JSON Schema (draft 7, which VS Code reads in full) of a config file as written. */
export function configJsonSchema(): SchemaNode {
  cached ??= z.toJSONSchema(configSchema, {
    target: 'draft-7',
    io: 'input',
    override: ({ jsonSchema }) => {
      // Every whole number would carry JavaScript's own bound, which only makes hovers noisy.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.propertyNames) delete jsonSchema.propertyNames;
    },
  }) as SchemaNode;
  return cached;
}

/** The text of media/espalier.schema.json. */
export function configSchemaText(): string {
  const { $schema, ...rest } = configJsonSchema() as SchemaNode & { $schema?: string };
  const schema = {
    $schema,
    $id: 'espalier.schema.json',
    title: 'Espalier config',
    allowComments: true,
    allowTrailingCommas: true,
    ...rest,
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

function children(node: SchemaNode, key: string | number): SchemaNode[] {
  const found: SchemaNode[] = [];
  if (typeof key === 'number' && node.items) found.push(node.items);
  if (typeof key === 'string') {
    if (node.properties && Object.hasOwn(node.properties, key)) found.push(node.properties[key]);
    else if (typeof node.additionalProperties === 'object') found.push(node.additionalProperties);
  }
  for (const branch of node.anyOf ?? []) found.push(...children(branch, key));
  return found;
}

/** Schemas that a value at `path` may have: several where a field takes several forms, none where there is no such field. */
export function schemasAt(path: ReadonlyArray<string | number>): readonly SchemaNode[] {
  let nodes: SchemaNode[] = [configJsonSchema()];
  for (const key of path) nodes = nodes.flatMap((node) => children(node, key));
  return nodes;
}

/** Names of the fields that an object at `path` may have. */
export function fieldNamesAt(path: ReadonlyArray<string | number>): readonly string[] {
  const names = (node: SchemaNode): string[] => [...Object.keys(node.properties ?? {}), ...(node.anyOf ?? []).flatMap(names)];
  return [...new Set(schemasAt(path).flatMap(names))];
}

/** The sentence that describes the field at `path`. */
export function descriptionAt(path: ReadonlyArray<string | number>): string | undefined {
  return schemasAt(path).find((node) => node.description !== undefined)?.description;
}
