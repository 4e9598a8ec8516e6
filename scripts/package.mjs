/**
 * Packs the extension as VSIX files, one a platform, each with that platform's onnxruntime alone, and checks the budgets of size.
 * Usage: node scripts/package.mjs [--target linux-x64]… [--out packages]
 *
 * What goes in is listed here; nothing else can. A VSIX is a zip with a manifest of its own (what `vsce package` writes).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { zipSync } from 'fflate';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** VS Code's name of each platform that onnxruntime-node has binaries for, and their folder there. */
const TARGETS = {
  'linux-x64': 'linux/x64',
  'linux-arm64': 'linux/arm64',
  'darwin-arm64': 'darwin/arm64',
  'win32-x64': 'win32/x64',
  'win32-arm64': 'win32/arm64',
};

/** Largest sizes in bytes. */
const BUDGETS = { linuxX64: 30_000_000, host: 300_000, webview: 500_000 };

/** Bundles that the extension needs; benchmarks stay out. */
const BUNDLES = /^(?!bench)[\w-]+\.(m?js|wasm)$|^webview[\\/][\w.-]+\.(js|css|ttf|woff2?)$/;

const { values: options } = parseArgs({
  options: { target: { type: 'string', multiple: true }, out: { type: 'string', default: 'packages' } },
});

/** Files below a folder, relative to it, with forward slashes. */
function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      posix.join(
        ...join(entry.parentPath ?? entry.path, entry.name)
          .slice(folder.length + 1)
          .split(/[\\/]/),
      ),
    )
    .sort();
}

const problems = [];
function check(what, bytes, budget) {
  const fits = bytes <= budget;
  console.log(`${fits ? 'ok      ' : 'TOO BIG '} ${what}: ${bytes.toLocaleString('en')} bytes of ${budget.toLocaleString('en')}`);
  if (!fits) problems.push(what);
}

const escapeXml = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function vsixManifest(manifest, target) {
  return `<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011" xmlns:d="http://schemas.microsoft.com/developer/vsx-schema-design/2011">
  <Metadata>
    <Identity Language="en-US" Id="${manifest.name}" Version="${manifest.version}" Publisher="${manifest.publisher}" TargetPlatform="${target}"/>
    <DisplayName>${escapeXml(manifest.displayName)}</DisplayName>
    <Description xml:space="preserve">${escapeXml(manifest.description)}</Description>
    <Tags>${escapeXml([...manifest.keywords, 'json', '__ext_onnx'].join(','))}</Tags>
    <Categories>${escapeXml(manifest.categories.join(','))}</Categories>
    <GalleryFlags>Public</GalleryFlags>
    <Properties>
      <Property Id="Microsoft.VisualStudio.Code.Engine" Value="${escapeXml(manifest.engines.vscode)}"/>
      <Property Id="Microsoft.VisualStudio.Code.ExtensionDependencies" Value=""/>
      <Property Id="Microsoft.VisualStudio.Code.ExtensionPack" Value=""/>
      <Property Id="Microsoft.VisualStudio.Code.ExtensionKind" Value="workspace"/>
      <Property Id="Microsoft.VisualStudio.Code.LocalizedLanguages" Value=""/>
      <Property Id="Microsoft.VisualStudio.Services.GitHubFlavoredMarkdown" Value="true"/>
      <Property Id="Microsoft.VisualStudio.Services.Content.Pricing" Value="Free"/>
    </Properties>
    <License>extension/LICENSE.txt</License>
    <Icon>extension/${manifest.icon}</Icon>
  </Metadata>
  <Installation><InstallationTarget Id="Microsoft.VisualStudio.Code"/></Installation>
  <Dependencies/>
  <Assets>
    <Asset Type="Microsoft.VisualStudio.Code.Manifest" Path="extension/package.json" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Content.Details" Path="extension/README.md" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Content.License" Path="extension/LICENSE.txt" Addressable="true"/>
    <Asset Type="Microsoft.VisualStudio.Services.Icons.Default" Path="extension/${manifest.icon}" Addressable="true"/>
  </Assets>
</PackageManifest>
`;
}

/** Every extension of a file in the package needs a content type. */
function contentTypes(paths) {
  const known = {
    '.json': 'application/json',
    '.js': 'application/javascript',
    '.md': 'text/markdown',
    '.png': 'image/png',
    '.svg': 'image/svg+xml',
    '.css': 'text/css',
    '.txt': 'text/plain',
    '.xml': 'text/xml',
    '.vsixmanifest': 'text/xml',
  };
  const endings = [...new Set([...paths.map((path) => extname(path)), '.vsixmanifest'])].filter((ending) => ending !== '').sort();
  const types = endings.map(
    (ending) => `<Default Extension="${ending.slice(1)}" ContentType="${known[ending] ?? 'application/octet-stream'}"/>`,
  );
  return `<?xml version="1.0" encoding="utf-8"?>\n<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">${types.join('')}</Types>\n`;
}

/** onnxruntime-node as it is installed, without what its install script and other platforms need. */
function runtimeFiles(binaries) {
  const files = {};
  const add = (name, wanted) => {
    const folder = join(root, 'node_modules', name);
    for (const path of filesIn(folder)) if (wanted(path)) files[`node_modules/${name}/${path}`] = readFileSync(join(folder, path));
  };
  const source = (path) =>
    path === 'package.json' || path === 'LICENSE' || (/^dist\/(cjs\/)?[\w./-]+\.js$/.test(path) && !path.startsWith('dist/esm'));
  add('onnxruntime-common', (path) => source(path) || path === 'dist/cjs/package.json');
  add(
    'onnxruntime-node',
    (path) => source(path) || (path.startsWith(`bin/napi-v6/${binaries}/`) && /\.(node|dll|dylib)$|\.so\.\d+$/.test(path)),
  );
  return files;
}

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const built = mkdtempSync(join(tmpdir(), 'espalier-package-'));
try {
  execFileSync(process.execPath, ['esbuild.mjs', '--production', '--quiet', `--outdir=${built}`], { cwd: root, stdio: 'inherit' });
  check('host, at activation (extension.js)', statSync(join(built, 'extension.js')).size, BUDGETS.host);
  check('host, with the first config (config-language.js)', statSync(join(built, 'config-language.js')).size, BUDGETS.host);
  const view = join(built, 'webview');
  if (existsSync(view))
    check(
      'web view',
      filesIn(view).reduce((sum, path) => sum + statSync(join(view, path)).size, 0),
      BUDGETS.webview,
    );

  const common = {};
  for (const path of filesIn(built)) if (BUNDLES.test(path)) common[`dist/${path}`] = readFileSync(join(built, path));
  for (const path of filesIn(join(root, 'media'))) common[`media/${path}`] = readFileSync(join(root, 'media', path));
  for (const path of filesIn(join(root, 'l10n'))) common[`l10n/${path}`] = readFileSync(join(root, 'l10n', path));
  for (const name of ['README.md', 'CHANGELOG.md', 'package.nls.json'])
    if (existsSync(join(root, name))) common[name] = readFileSync(join(root, name));
  common['README.md'] ??= Buffer.from(`# ${manifest.displayName}\n\n${manifest.description}\n`);
  common['LICENSE.txt'] = readFileSync(join(root, 'LICENSE'));
  // What only developers need stays out of the manifest that people install.
  const { scripts: _scripts, devDependencies: _development, dependencies: _bundled, private: _private, ...shipped } = manifest;
  common['package.json'] = Buffer.from(`${JSON.stringify(shipped, null, 2)}\n`);

  mkdirSync(join(root, options.out), { recursive: true });
  for (const target of options.target ?? Object.keys(TARGETS)) {
    const binaries = TARGETS[target];
    if (!binaries) throw new Error(`there is no target ${target}; known: ${Object.keys(TARGETS).join(', ')}`);
    const files = { ...common, ...runtimeFiles(binaries) };
    const zip = {
      '[Content_Types].xml': Buffer.from(contentTypes(Object.keys(files))),
      'extension.vsixmanifest': Buffer.from(vsixManifest(manifest, target)),
    };
    for (const [path, content] of Object.entries(files)) zip[`extension/${path}`] = content;
    const file = join(root, options.out, `${manifest.name}-${target}-${manifest.version}.vsix`);
    // A fixed time, so that equal content makes equal files.
    writeFileSync(file, zipSync(zip, { level: 9, mtime: new Date('2026-01-01T00:00:00') }));
    if (target === 'linux-x64') check(`${target} package`, statSync(file).size, BUDGETS.linuxX64);
    else console.log(`         ${target} package: ${statSync(file).size.toLocaleString('en')} bytes`);
  }
} finally {
  rmSync(built, { recursive: true, force: true });
}
if (problems.length > 0) {
  console.error(`over budget: ${problems.join(', ')}`);
  process.exit(1);
}
