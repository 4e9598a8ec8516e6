/** Quick picks one after the other, with a way back. Each step writes into one state. */
import * as vscode from 'vscode';

export interface StepItem<Value> extends vscode.QuickPickItem {
  /** Absent in separators. */
  readonly value?: Value;
}

/** A step asks and returns the new state, 'back', or undefined where the person left. */
export type Step<State> = (state: State, place: StepPlace) => Promise<State | 'back' | undefined>;

export interface StepPlace {
  readonly title: string;
  /** From 1. */
  readonly step: number;
  readonly totalSteps: number;
}

/** Runs the steps; undefined where the person left. */
export async function runSteps<State>(title: string, start: State, steps: ReadonlyArray<Step<State>>): Promise<State | undefined> {
  const states: State[] = [start];
  while (states.length <= steps.length) {
    const step = states.length;
    const next = await steps[step - 1](states[step - 1], { title, step, totalSteps: steps.length });
    if (next === undefined) return undefined;
    if (next === 'back') states.pop();
    else states.push(next);
    if (states.length === 0) return undefined;
  }
  return states.at(-1);
}

/** Asks for one of `items`. A rejected `items` ends the flow with its problem. */
export async function pickOne<Value>(
  place: StepPlace,
  placeholder: string,
  items: ReadonlyArray<StepItem<Value>> | Promise<ReadonlyArray<StepItem<Value>>>,
  chosen?: (value: Value) => boolean,
): Promise<Value | 'back' | undefined> {
  const pick = vscode.window.createQuickPick<StepItem<Value>>();
  Object.assign(pick, {
    title: place.title,
    step: place.step,
    totalSteps: place.totalSteps,
    placeholder,
    ignoreFocusOut: true,
    matchOnDescription: true,
    matchOnDetail: true,
  });
  if (place.step > 1) pick.buttons = [vscode.QuickInputButtons.Back];
  pick.busy = true;
  pick.show();
  try {
    return await new Promise<Value | 'back' | undefined>((resolve, reject) => {
      pick.onDidTriggerButton(() => resolve('back'));
      pick.onDidHide(() => resolve(undefined));
      pick.onDidAccept(() => {
        const value = pick.selectedItems[0]?.value;
        if (value !== undefined) resolve(value);
      });
      Promise.resolve(items).then((all) => {
        pick.items = all;
        const active = chosen && all.find((item) => item.value !== undefined && chosen(item.value));
        if (active) pick.activeItems = [active];
        pick.busy = false;
      }, reject);
    });
  } finally {
    pick.dispose();
  }
}

/** Asks for a text. `check` returns what is wrong with it. */
export async function askText(
  place: StepPlace,
  prompt: string,
  value: string,
  check: (text: string) => string | undefined,
): Promise<string | 'back' | undefined> {
  const box = vscode.window.createInputBox();
  Object.assign(box, { title: place.title, step: place.step, totalSteps: place.totalSteps, prompt, value, ignoreFocusOut: true });
  if (place.step > 1) box.buttons = [vscode.QuickInputButtons.Back];
  box.show();
  try {
    return await new Promise<string | 'back' | undefined>((resolve) => {
      box.onDidTriggerButton(() => resolve('back'));
      box.onDidHide(() => resolve(undefined));
      box.onDidChangeValue((text) => {
        box.validationMessage = check(text);
      });
      box.onDidAccept(() => {
        const problem = check(box.value);
        if (problem === undefined) resolve(box.value);
        else box.validationMessage = problem;
      });
    });
  } finally {
    box.dispose();
  }
}
