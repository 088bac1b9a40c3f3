/** Which release this is: the version in package.json. */

import fs from 'node:fs'
import path from 'node:path'
import { packageRoot } from './layout.js'

export function readVersion(): string {
  const text = fs.readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')
  const { version } = JSON.parse(text) as { readonly version?: unknown }
  return typeof version === 'string' ? version : '0.0.0'
}
