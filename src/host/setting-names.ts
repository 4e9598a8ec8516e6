/** Settings below `espalier.` and their types; the manifest holds the defaults. */
export interface Settings {
  'codeLens.enabled': boolean;
  'sensitivityHints.enabled': boolean;
  'panel.openOnRun': boolean;
  'python.interpreter': string;
  dataFolder: string;
}

export type SettingName = keyof Settings;

/** A value for each name, so that a test can compare the list with the manifest. */
export const SETTING_NAMES: Readonly<Record<SettingName, true>> = {
  'codeLens.enabled': true,
  'sensitivityHints.enabled': true,
  'panel.openOnRun': true,
  'python.interpreter': true,
  dataFolder: true,
};
