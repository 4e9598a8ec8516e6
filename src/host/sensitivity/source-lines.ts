/**
 * Which line of a model's source defines which layer of its graph. First what the exporter wrote down, then names: a torch layer is found by its
 * attribute path (`layer1.0.conv1`), a Keras or TensorFlow.js layer by its name, or by its place among the layers with weights.
 */
import type { LayerNode } from '../../protocol/layer-graph';
import type { SourceLanguage } from '../lenses/definition-scan';

type Layer = Pick<LayerNode, 'id' | 'name' | 'opType' | 'weights' | 'source'>;

interface Site {
  readonly line: number;
  /** Last part of what is called: Conv2d, _make_layer. */
  readonly callee?: string;
  /** Layers listed inside a container's call, by place and by name. */
  readonly children: ReadonlyArray<Site & { readonly name?: string }>;
}

/** Attributes of each class of the file. */
type Classes = ReadonlyMap<string, ReadonlyMap<string, Site>>;

const CONTAINERS = new Set(['Sequential', 'ModuleList', 'ModuleDict', 'OrderedDict']);

/**
 * Attribute path of a layer from its names: ['layer1', '0', 'conv1'].
 * Weights keep it whole ('layer1.0.conv1.weight'); node names repeat it by scope ('/layer1/layer1.0/conv1/Conv').
 */
export function attributePath(layer: Pick<Layer, 'name' | 'weights'>): string[] {
  const weight = layer.weights.find(({ name }) => /\.(weight|bias)$/.test(name));
  if (weight) return weight.name.split('.').slice(0, -1);
  if (!layer.name.includes('/')) return layer.name.split('.');
  const scopes = layer.name.split('/').filter((scope) => scope !== '');
  scopes.pop();
  let before = '';
  return scopes.flatMap((scope) => {
    // '/features/features.0/Conv': the inner scope repeats the outer one.
    const own = before !== '' && scope.startsWith(`${before}.`) ? scope.slice(before.length + 1) : scope;
    before = scope;
    return own.split('.');
  });
}

/**
 * Lines from 0 by layer id; layers without a line are left out.
 * @param definition class that is the model, where the source has several
 * @param isThisFile whether a path that the exporter wrote down is the file of `text`
 */
export function layerLines(
  text: string,
  language: SourceLanguage,
  definition: string,
  layers: readonly Layer[],
  isThisFile: (file: string) => boolean,
): Map<string, number> {
  const lines = new Map<string, number>();
  for (const { id, source } of layers) if (source && isThisFile(source.file)) lines.set(id, source.line - 1);
  const rest = layers.filter(({ id }) => !lines.has(id));
  const found = language === 'python' ? pythonLines(text, definition, rest) : new Map<string, number>();
  for (const [id, line] of found) lines.set(id, line);
  const unplaced = rest.filter(({ id, weights }) => !found.has(id) && weights.length > 0);
  if (found.size === 0) for (const [id, line] of calledLayerLines(text, unplaced)) lines.set(id, line);
  return lines;
}

function pythonLines(text: string, definition: string, layers: readonly Layer[]): Map<string, number> {
  const classes = readClasses(text);
  const found = new Map<string, number>();
  for (const layer of layers) {
    const line = resolve(attributePath(layer), definition, classes, 0);
    if (line !== undefined) found.set(layer.id, line);
  }
  return found;
}

/** Follows an attribute path from class to class; the outermost line that is certain where the way is lost. */
function resolve(path: readonly string[], owner: string, classes: Classes, depth: number): number | undefined {
  const site = classes.get(owner)?.get(path[0]);
  // A module may hold itself by mistake; no real one is this deep.
  if (!site || depth > 20) return undefined;
  return within(site, path.slice(1), classes, depth) ?? site.line;
}

function within(site: Site, rest: readonly string[], classes: Classes, depth: number): number | undefined {
  if (rest.length === 0) return site.line;
  const child = /^\d+$/.test(rest[0]) ? site.children[Number(rest[0])] : site.children.find(({ name }) => name === rest[0]);
  if (child) return within(child, rest.slice(1), classes, depth + 1) ?? child.line;
  if (site.callee !== undefined && classes.has(site.callee)) return resolve(rest, site.callee, classes, depth + 1);
  // A container filled by a loop or a helper: its parts are of a class that has the next attribute, if one only has it.
  const inner = rest.slice(/^\d+$/.test(rest[0]) ? 1 : 0);
  if (inner.length === 0) return undefined;
  const owners = [...classes].filter(([, attributes]) => attributes.has(inner[0]));
  return owners.length === 1 ? resolve(inner, owners[0][0], classes, depth + 1) : undefined;
}

function readClasses(text: string): Classes {
  const classes = new Map<string, Map<string, Site>>();
  const open: Array<{ indent: number; attributes: Map<string, Site> }> = [];
  const lineStarts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1);
  lineStarts.forEach((start, line) => {
    const end = lineStarts[line + 1] ?? text.length + 1;
    const code = text.slice(start, end - 1).replace(/(^|\s)#.*$/, '');
    if (code.trim() === '') return;
    const indent = code.length - code.trimStart().length;
    const declared = /^\s*class\s+(\w+)/.exec(code);
    while (open.length > 0 && indent <= open[open.length - 1].indent) open.pop();
    if (declared) {
      const attributes = new Map<string, Site>();
      classes.set(declared[1], attributes);
      open.push({ indent, attributes });
      return;
    }
    const attributes = open.at(-1)?.attributes;
    if (!attributes) return;
    const assigned = /^\s*self\.(\w+)\s*(?::[^=]+)?=(?!=)\s*([\w.]+)?\s*(\()?/.exec(code);
    if (assigned) {
      const callee = assigned[2]?.split('.').at(-1);
      const children =
        assigned[3] && callee !== undefined && CONTAINERS.has(callee) ? containerChildren(text, start + assigned[0].length, line) : [];
      // A first definition wins: a later one is a special case (if downsample: self.shortcut = …).
      if (!attributes.has(assigned[1])) attributes.set(assigned[1], { line, ...(callee === undefined ? {} : { callee }), children });
      else if (children.length > 0 && attributes.get(assigned[1])!.children.length === 0)
        attributes.set(assigned[1], { line, callee, children });
      return;
    }
    const added = /\.add_module\(\s*['"](\w+)['"]\s*,\s*([\w.]+)/.exec(code);
    if (added) attributes.set(added[1], { line, callee: added[2].split('.').at(-1), children: [] });
  });
  return classes;
}

/** The calls listed directly inside a container's brackets; `from` is just behind its opening one. */
function containerChildren(text: string, from: number, startLine: number): Array<Site & { name?: string }> {
  const children: Array<Site & { name?: string }> = [];
  let line = startLine;
  let depth = 0;
  const listDepth: string[] = [];
  let name: string | undefined;
  const pattern = /\n|#[^\n]*|(['"])((?:\\.|(?!\1).)*)\1|([A-Za-z_][\w.]*)\s*\(|[([{]|[)\]}]/g;
  pattern.lastIndex = from;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    const [token, , quoted, call] = match;
    if (token === '\n') line++;
    else if (token[0] === '#') continue;
    else if (quoted !== undefined) name = quoted;
    else if (call !== undefined) {
      const callee = call.split('.').at(-1)!;
      // Lists, tuples and dictionaries between the container and its layers take no part in the depth.
      if (depth === 0 && !CONTAINERS.has(callee)) {
        children.push({ line, callee, children: [], ...(name === undefined ? {} : { name }) });
        name = undefined;
      }
      if (depth > 0 || !CONTAINERS.has(callee)) depth++;
      else listDepth.push('(');
    } else if ('([{'.includes(token)) {
      if (depth > 0) depth++;
      else listDepth.push(token);
    } else if (depth > 0) depth--;
    else if (listDepth.pop() === undefined) break;
  }
  return children;
}

/** Layers with weights by the names in Keras and TensorFlow.js. */
const LAYER_CALL =
  /(?:\blayers\.|\btf\.layers\.|(?<![\w.]))(Conv[123]D|DepthwiseConv2D|SeparableConv2D|Conv2DTranspose|Dense|conv[123]d|depthwiseConv2d|separableConv2d|conv2dTranspose|dense)\s*\(/g;

/** A layer's line by its name, or by its place where the source has as many layer calls as the graph has layers with weights. */
function calledLayerLines(text: string, layers: readonly Layer[]): Map<string, number> {
  const code = text.replace(/(?<=^|\s)(?:#|\/\/).*$/gm, (comment) => ' '.repeat(comment.length));
  const calls = [...code.matchAll(LAYER_CALL)].map((match) => {
    const line = code.slice(0, match.index).split('\n').length - 1;
    const end = closingBracket(code, match.index + match[0].length);
    const name = /\bname\s*[:=]\s*(['"])(.*?)\1/.exec(code.slice(match.index, end))?.[2];
    return { line, name };
  });
  const found = new Map<string, number>();
  const byPlace = calls.length === layers.length;
  layers.forEach((layer, place) => {
    const parts = [layer.name, ...layer.weights.map(({ name }) => name)].flatMap((name) => name.split(/[/.:]/));
    const call = calls.find(({ name }) => name !== undefined && parts.includes(name)) ?? (byPlace ? calls[place] : undefined);
    if (call) found.set(layer.id, call.line);
  });
  return found;
}

function closingBracket(text: string, from: number): number {
  let depth = 1;
  for (let at = from; at < text.length; at++) {
    if ('([{'.includes(text[at])) depth++;
    else if (')]}'.includes(text[at]) && --depth === 0) return at;
  }
  return text.length;
}
