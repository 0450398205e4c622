// The browser: from an npm package that carries it, with its libraries and fonts, so that nothing else has to be installed.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { chromium } from 'playwright-core';

// The package's fonts for letters, and those of the machine, if it has some, for what else there is.
const fonts = (folder) => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${folder}/font-cache</cachedir>
  <alias><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias><family>ui-monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
`;

export async function launch() {
  const temporary = process.env.TMPDIR;
  const folder = process.env.BROWSER_FOLDER;
  process.env.TMPDIR = folder;
  // It unpacks its libraries where it believes to be on Lambda.
  process.env.AWS_LAMBDA_JS_RUNTIME = 'nodejs22.x';
  process.env.FONTCONFIG_FILE = path.join(folder, 'fonts.conf');
  await writeFile(process.env.FONTCONFIG_FILE, fonts(folder));
  const { default: packed } = await import('@sparticuz/chromium');
  packed.setGraphicsMode = false;
  const executablePath = await packed.executablePath();
  if (temporary === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = temporary;
  return chromium.launch({
    executablePath,
    // Playwright gives it an empty profile of its own.
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
