/**
 * Imports a module of the user's own source code, which runs it: only where that is trusted. JavaScript loads as it is, TypeScript by
 * Node's own type stripping where this Node has it, else by the esbuild or typescript that the module's folder has. Node keeps what it has
 * loaded: a file that may have been edited since is imported in a thread of its own (`worker/import-definition.ts`).
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Esbuild from 'esbuild';
import { UserError } from '../errors';

export type Exports = Readonly<Record<string, unknown>>;

const TYPED = new Set(['.ts', '.tsx', '.mts', '.cts', '.jsx']);

export interface ImportOptions {
  /** Whether this Node strips types itself; by default, what it says of itself. */
  readonly nodeStripsTypes?: boolean;
}

/** What a module exports. @throws UserError where it cannot be loaded, with its own error in words */
export async function importSource(file: string, options: ImportOptions = {}): Promise<Exports> {
  const path = resolve(file);
  if (!existsSync(path)) throw new UserError(`${path}: no such file`, 'Check the path of the source file.');
  if (!TYPED.has(extname(path).toLowerCase())) return plainImport(path);
  const strips = options.nodeStripsTypes ?? Boolean((process.features as { typescript?: unknown }).typescript);
  if (strips && !/x$/.test(extname(path))) {
    try {
      return await plainImport(path);
    } catch (cause) {
      // Node strips types but neither rewrites enums nor finds imports without an extension; a bundler does.
      const tool = toolOf(path);
      if (!tool || !needsTool(cause)) throw cause;
      return compiled(path, tool);
    }
  }
  const tool = toolOf(path);
  if (!tool)
    throw new UserError(
      `${path} is TypeScript, which Node ${process.versions.node} does not run by itself, and its folder has neither esbuild nor typescript`,
      'Run "npm install --save-dev esbuild" there, or use Node 22.18 or newer.',
    );
  return compiled(path, tool);
}

async function plainImport(path: string): Promise<Exports> {
  try {
    // By a name known only now, so that bundlers leave it alone.
    return exportsOf(await import(/* @vite-ignore */ pathToFileURL(path).href));
  } catch (cause) {
    throw loadFailure(path, cause);
  }
}

/** What CommonJS exports lies in `default` where Node did not recognise its names. */
function exportsOf(module: unknown): Exports {
  const { default: inner, ...named } = module as Record<string, unknown>;
  return typeof inner === 'object' && inner !== null ? { ...inner, ...named, default: inner } : (module as Exports);
}

const loadFailure = (path: string, cause: unknown): UserError =>
  new UserError(
    `${path} cannot be loaded: ${firstLine(cause)}`,
    'The module must load in Node by itself: no browser objects, and its packages installed beside it.',
    { cause },
  );

const firstLine = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split('\n')[0].slice(0, 400);

const needsTool = (failure: unknown): boolean => {
  const { cause } = failure as { cause?: unknown };
  const { code } = (cause ?? {}) as { code?: unknown };
  return code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' || code === 'ERR_INVALID_TYPESCRIPT_SYNTAX' || code === 'ERR_MODULE_NOT_FOUND';
};

type Tool = { readonly name: 'esbuild'; readonly module: typeof Esbuild } | { readonly name: 'typescript'; readonly module: Transpiler };

/** The part of the typescript package (up to version 6) that turns one file's text into JavaScript. */
interface Transpiler {
  readonly ModuleKind: { readonly CommonJS: number };
  readonly ScriptTarget: { readonly ES2022: number };
  transpileModule(text: string, options: { compilerOptions: object; fileName: string }): { outputText: string };
}

/** The compiler that the module's own project has; never one of ours, and nothing is installed. */
function toolOf(path: string): Tool | undefined {
  const require = createRequire(path);
  const load = (name: string): unknown => {
    try {
      return require(name);
    } catch {
      return undefined;
    }
  };
  const esbuild = load('esbuild') as typeof Esbuild | undefined;
  if (typeof esbuild?.build === 'function') return { name: 'esbuild', module: esbuild };
  const typescript = load('typescript') as Transpiler | undefined;
  return typeof typescript?.transpileModule === 'function' ? { name: 'typescript', module: typescript } : undefined;
}

async function compiled(path: string, tool: Tool): Promise<Exports> {
  try {
    if (tool.name === 'typescript') return transpiled(path, tool.module, new Map()) as Exports;
    const { outputFiles } = await tool.module.build({
      entryPoints: [path],
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'cjs',
      target: 'node20',
      write: false,
      logLevel: 'silent',
      absWorkingDir: dirname(path),
    });
    return evaluate(path, outputFiles[0].text, createRequire(path)) as Exports;
  } catch (cause) {
    throw cause instanceof UserError ? cause : loadFailure(path, cause);
  }
}

/** Runs CommonJS text as the module at `path`; nothing is written to the disk. */
function evaluate(path: string, text: string, require: (name: string) => unknown): unknown {
  const module = { exports: {} as unknown };
  const run = new Function('exports', 'require', 'module', '__filename', '__dirname', `${text}\n//# sourceURL=${pathToFileURL(path).href}`);
  run(module.exports, require, module, path, dirname(path));
  return module.exports;
}

/** One file and, through its own `require`, the TypeScript files it imports. */
function transpiled(path: string, typescript: Transpiler, loaded: Map<string, unknown>): unknown {
  if (loaded.has(path)) return loaded.get(path);
  // An import in a circle gets what is there so far: nothing.
  loaded.set(path, {});
  const { outputText } = typescript.transpileModule(readFileSync(path, 'utf8'), {
    compilerOptions: { module: typescript.ModuleKind.CommonJS, target: typescript.ScriptTarget.ES2022, esModuleInterop: true, jsx: 2 },
    fileName: path,
  });
  const own = createRequire(path);
  const exported = evaluate(path, outputText, (name) => {
    const other = /^\.{1,2}\//.test(name) ? typedFile(resolve(dirname(path), name)) : undefined;
    return other === undefined ? own(name) : transpiled(other, typescript, loaded);
  });
  loaded.set(path, exported);
  return exported;
}

/** The TypeScript file that an import without its extension, or with that of the output, means. */
function typedFile(base: string): string | undefined {
  const bare = base.replace(/\.[cm]?js$/, '');
  const candidates = [base, ...['.ts', '.tsx', '.mts', '.cts'].map((e) => bare + e), resolve(base, 'index.ts')];
  return candidates.find((c) => TYPED.has(extname(c)) && existsSync(c));
}
