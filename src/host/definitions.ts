/** Which config belongs to which definition in source code: the config says so in its `definition`. */
import { dirname, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { Config } from '../protocol/config';
import type { DefinitionTarget } from './command-ids';
import { configLanguage } from './load-config-language';
import { findConfigs } from './workspace-files';

export interface DefinedModel {
  readonly configFile: string;
  readonly config: Config;
  /** Absolute. */
  readonly modelPath: string;
  readonly definition: NonNullable<Config['definition']>;
  /** Absolute path of the source file. */
  readonly sourceFile: string;
}

export class Definitions implements vscode.Disposable {
  private known?: Promise<readonly DefinedModel[]>;
  private readonly changed = new vscode.EventEmitter<void>();
  private readonly watcher = vscode.workspace.createFileSystemWatcher('**/*.espalier.json');
  readonly onDidChange = this.changed.event;

  constructor() {
    const forget = (): void => {
      this.known = undefined;
      this.changed.fire();
    };
    this.watcher.onDidChange(forget);
    this.watcher.onDidCreate(forget);
    this.watcher.onDidDelete(forget);
  }

  /** Models defined in a source file, by its absolute path. */
  async inFile(file: string): Promise<readonly DefinedModel[]> {
    this.known ??= readDefinitions();
    return (await this.known).filter((defined) => defined.sourceFile === file);
  }

  async find({ file, name }: Pick<DefinitionTarget, 'file' | 'name'>): Promise<DefinedModel | undefined> {
    return (await this.inFile(file)).find((defined) => defined.definition.name === name);
  }

  dispose(): void {
    this.watcher.dispose();
    this.changed.dispose();
  }
}

async function readDefinitions(): Promise<DefinedModel[]> {
  const uris = await findConfigs();
  if (uris.length === 0) return [];
  const { parseConfigText } = configLanguage();
  const defined = await Promise.all(
    uris.map(async (uri): Promise<DefinedModel[]> => {
      const bytes = await vscode.workspace.fs.readFile(uri).then(
        (read) => read,
        () => undefined,
      );
      const config = bytes && parseConfigText(new TextDecoder().decode(bytes)).config;
      if (!config?.definition) return [];
      const folder = dirname(uri.fsPath);
      return [
        {
          configFile: uri.fsPath,
          config,
          definition: config.definition,
          modelPath: resolve(folder, config.model),
          sourceFile: resolve(folder, config.definition.file),
        },
      ];
    }),
  );
  return defined.flat();
}
