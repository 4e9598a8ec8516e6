/** What the in-host suites run with, in the server and in desktop VS Code alike. */

/** Settings of every test: no network, no welcome pages, a fixed theme. */
export const SETTINGS = {
  'security.workspace.trust.enabled': false,
  'chat.disableAIFeatures': true,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.colorTheme': 'Default Dark Modern',
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'extensions.autoCheckUpdates': false,
  'git.enabled': false,
};

/** What each suite has of its own: settings over those of all, and environment. */
export const SUITES = {
  trusted: {},
  methods: {},
  untrusted: {
    settings: {
      'security.workspace.trust.enabled': true,
      'security.workspace.trust.startupPrompt': 'never',
      'security.workspace.trust.banner': 'never',
    },
  },
  workerless: { env: { ESPALIER_WORKER: '/no/such/worker.js' } },
};
