/** Registers the commands; whatever a handler throws becomes one sentence for the person and a stack for the log. */
import * as vscode from 'vscode';
import type { CommandArguments, CommandHandlers, CommandId } from './command-ids';
import { showProblem } from './problems';

export function registerCommands(handlers: CommandHandlers, log: vscode.LogOutputChannel): vscode.Disposable {
  const registered = Object.entries(handlers).map(([id, handler]) =>
    vscode.commands.registerCommand(id, async (...args: never[]) => {
      try {
        return await (handler as (...args: never[]) => unknown)(...args);
      } catch (error) {
        showProblem(error, log);
        return undefined;
      }
    }),
  );
  return vscode.Disposable.from(...registered);
}

/** A command for a lens or a tree item, its arguments checked by the compiler. */
export function commandLink<Id extends CommandId>(command: Id, title: string, ...args: CommandArguments[Id]): vscode.Command {
  return { command, title, arguments: args };
}
