/** What unit tests have in VS Code's place: texts in English. Whatever needs more of the editor is tested in the editor (test/vscode). */
export const l10n = {
  t: (message: string, ...values: ReadonlyArray<string | number | boolean>): string =>
    message.replace(/\{(\d+)\}/g, (whole, index) => String(values[Number(index)] ?? whole)),
};
