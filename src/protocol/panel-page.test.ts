import { expect, test } from 'vitest';
import { panelPage } from './panel-page';

const parts = { script: 'https://view/panel.js', style: 'https://view/panel.css', source: 'https://view', nonce: 'abc', language: 'en' };

test('the policy allows nothing but our own files, and no inline style or script', () => {
  const policy = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(panelPage(parts))?.[1].replaceAll('&#39;', "'");
  expect(policy).toBe(
    "default-src 'none'; style-src https://view; script-src 'nonce-abc'; font-src https://view; img-src https://view data:",
  );
});

test('translations cannot end their block, and addresses cannot end their attribute', () => {
  const page = panelPage({ ...parts, style: 'a"b', translations: { Stop: '</script><script>alert(1)</script>' } });
  expect(page.match(/<script/g)).toHaveLength(2);
  expect(page).toContain('href="a&quot;b"');
});
