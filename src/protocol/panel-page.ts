/** The HTML page that holds the panel: one text for the editor's web view and for the tests' plain page, so that both run under the same policy. */

export interface PanelPageParts {
  /** Address of dist/webview/panel.js. */
  readonly script: string;
  /** Address of dist/webview/panel.css. */
  readonly style: string;
  /** What the policy allows fonts, images and style sheets from: `webview.cspSource`. */
  readonly source: string;
  /** Fresh for each page, at least 128 random bits in base64 or hexadecimal. */
  readonly nonce: string;
  /** BCP 47, as `vscode.env.language`. */
  readonly language: string;
  /** Translations by English text; absent: English. */
  readonly translations?: Readonly<Record<string, string>>;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ESCAPES[character]);

/** Nothing is allowed but our own script (by nonce), style sheet, fonts and images: no inline style, no code from text, no network. */
export function panelPolicy(source: string, nonce: string): string {
  return `default-src 'none'; style-src ${source}; script-src 'nonce-${nonce}'; font-src ${source}; img-src ${source} data:`;
}

export function panelPage({ script, style, source, nonce, language, translations = {} }: PanelPageParts): string {
  // A data block is not run. '<' is escaped so that no text can end it.
  const table = JSON.stringify(translations).replaceAll('<', '\\u003c');
  return `<!doctype html>
<html lang="${escapeHtml(language)}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(panelPolicy(source, nonce))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Espalier</title>
<link rel="stylesheet" href="${escapeHtml(style)}">
</head>
<body>
<script type="application/json" id="translations">${table}</script>
<main id="panel"></main>
<script type="module" nonce="${escapeHtml(nonce)}" src="${escapeHtml(script)}"></script>
</body>
</html>
`;
}
